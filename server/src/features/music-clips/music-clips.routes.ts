import { actingUser, requireUser } from '../../http-kit/authentication.ts'
import type { AppContext } from '../../http-kit/app-env.ts'
import { functionBody } from '../../http-kit/functions.ts'
import { createRouter, type App } from '../../http-kit/openapi.ts'
import type { ErrorFormat } from '../../http-kit/problem.ts'
import { isLanguage, text, type Language } from '../../texts/texts.ts'
import { Refusal, REFUSALS, refusalText } from './refusals.ts'
import { RefusedRun, type Runs } from './runs.ts'
import { stageTexts } from './stage-texts.ts'

interface Deps {
  runs: Runs
  /** An address that a plain `<audio>` can open, also where stored files are not public. */
  playable: (url: string) => string
}

/** Seed 001's endpoints, to the letter: Russian whatever the browser says, `?lang=` asks for another language. */
export function musicClipsRoutes({ runs, playable }: Deps): App {
  const app = createRouter()

  app.post('/api/music-clips/channels/:channelId/runOnce', async (c) => {
    requireUser(c)
    const body = await functionBody(c)
    try {
      const userId = await who(c, body)
      const run = await runs.runOnce(c.req.param('channelId'), userId, withoutUser(body))
      return c.json({
        success: true, ok: true, jobId: run.jobId, channelId: run.channelId, stage: 'STAGE_10_REQUEST_ACCEPTED', createdAt: run.createdAt.toISOString(),
        message: START_MESSAGE[languageOf(c)],
      }, 202)
    } catch (error) {
      if (error instanceof RefusedRun) return refused(c, error.refusal, { jobId: error.jobId })
      if (error instanceof Refusal) return refused(c, error)
      throw error
    }
  })

  app.get('/api/music-clips/jobs/:jobId', async (c) => {
    const jobId = c.req.param('jobId')
    const row = await runs.findJob(jobId, await whose(c))
    if (!row) return refused(c, new Refusal('JOB_NOT_FOUND', { id: jobId }))
    const final = ['STAGE_50_SUNO_SUCCESS', 'STAGE_90_FAILED', 'STAGE_99_TIMEOUT'].includes(row.stage)
    const { progressText, error } = stageTexts(row, languageOf(c))
    return c.json({
      success: true, ok: true, jobId: row.job_id, channelId: row.channel_id, stage: row.stage, progressText, sunoTaskId: row.suno_task_id,
      audioUrl: row.audio_url && playable(row.audio_url), error, createdAt: row.created_at.toISOString(), updatedAt: row.updated_at.toISOString(),
      heartbeat: { secondsSinceUpdate: row.seconds_since_update, isStale: !final && row.seconds_since_update > 60 },
      requestId: c.get('requestId'),
      ...(row.arrived_late ? { arrivedLate: true } : {}),
    })
  })

  return app
}

/** Errors that any middleware raises under these addresses, in the seed's form. */
export const musicClipsErrors: ErrorFormat = {
  prefix: '/api/music-clips/',
  render(problem, c) {
    const language = languageOf(c)
    const code = problem.code.toUpperCase()
    const own = (REFUSALS as Record<string, Record<Language, string>>)[code]
    const message = own ? own[language] : text(language, problem.code, problem)
    return c.json({ success: false, ok: false, error: code, message, requestId: problem.requestId }, problem.status as 500)
  },
}

/** Whose samples in the seed have neither `ok` nor `requestId` stay as they are there. */
const BARE = new Set(['CALLBACK_URL_NOT_CONFIGURED', 'SUNO_NO_CREDITS'])

function refused(c: AppContext, refusal: Refusal, more: { jobId?: string } = {}): Response {
  const language = languageOf(c)
  const bare = BARE.has(refusal.code)
  if (typeof refusal.extra.retryAfterSec === 'number') c.header('retry-after', String(refusal.extra.retryAfterSec))
  return c.json({
    success: false, ...(bare ? {} : { ok: false }), error: refusal.code, message: refusalText(refusal, language), ...refusal.extra,
    ...(bare ? {} : { requestId: c.get('requestId') }), ...more,
  }, REFUSALS[refusal.code].status)
}

const START_MESSAGE: Record<Language, string> = {
  ru: 'Генерация запущена, используйте GET /api/music-clips/jobs/:jobId для проверки статуса',
  en: 'Generation started, use GET /api/music-clips/jobs/:jobId to check its status',
  fr: "Génération lancée, utilisez GET /api/music-clips/jobs/:jobId pour suivre l'état",
}

function languageOf(c: AppContext): Language {
  const asked = c.req.query('lang')
  return isLanguage(asked) ? asked : 'ru'
}

/** 401, then 403 for another user; then 404 for things, whoever they belong to. */
const who = (c: AppContext, body: Record<string, unknown>): Promise<string> => actingUser(c, { bodyUserId: body.userId })

/** Whose jobs may be read: one's own; the service role reads all, or those of the user it names. */
async function whose(c: AppContext): Promise<string | null> {
  const { role, operator } = requireUser(c)
  if (role === 'service_role' && !c.req.header('x-user-id')) return null
  const userId = await actingUser(c)
  return operator && role !== 'service_role' ? null : userId
}

const withoutUser = ({ userId: _userId, ...rest }: Record<string, unknown>) => rest
