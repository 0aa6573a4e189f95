import { requireServiceRole } from '../../http-kit/authentication.ts'
import { createRouter, type App } from '../../http-kit/openapi.ts'
import { totalsOf, type StaleJobs } from './stale-jobs.ts'

/** Seed 004's `cleanup-stale-jobs`; the schedule runs the same every 5 minutes. */
export function staleJobsRoutes({ staleJobs }: { staleJobs: Pick<StaleJobs, 'run'> }): App {
  const app = createRouter()
  app.post('/functions/v1/cleanup-stale-jobs', async (c) => {
    requireServiceRole(c)
    const { checked, jobs, errors } = await staleJobs.run()
    const { closed, completed, failed, tokensRefunded } = totalsOf(jobs)
    return c.json({ success: true, checked, closed, completed, failed, tokensRefunded, errors })
  })
  return app
}
