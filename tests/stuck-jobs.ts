import { randomUUID } from 'node:crypto'
import type { Queryable } from '../server/src/database/pool.ts'

export interface StuckJob {
  id: string
  userId: string
  /** What its user must get back: the parts of the cards that are open. */
  back: number
  finished: number
  cards: number
}

const OPEN = ['pending', 'processing', 'retrying', 'processing']

/** Seed 004's case: 72 stuck jobs, 33 of them without `started_at` and 12 of those still pending, mixed costs, some with finished cards. */
export async function insertStuckJobs(db: Pick<Queryable, 'query'>, userIds: string[]): Promise<StuckJob[]> {
  const jobs: StuckJob[] = []
  for (let place = 0; place < 72; place++) {
    const cards = 1 + ((place * 5) % 6)
    const cost = [cards, 2 * cards, 7, 11, 25, 1, 0][place % 7]!
    const statuses = Array.from({ length: cards }, (_, card) =>
      card > 0 && (place + card) % 3 === 0 ? 'completed' : (place + card) % 11 === 0 ? 'failed' : OPEN[(place + card) % OPEN.length]!)
    const id = randomUUID()
    const userId = userIds[place % userIds.length]!
    await db.query(
      `insert into generation_jobs (id, user_id, product_name, status, total_cards, tokens_cost, created_at, started_at)
       values ($1, $2, $3, $4, $5, $6, now() - $7 * interval '1 day', case when $8 then null else now() - $7 * interval '1 day' + interval '2 seconds' end)`,
      [id, userId, `Product ${place}`, place < 12 ? 'pending' : 'processing', cards, cost, 1 + (place % 18), place < 33])
    await db.query(
      `insert into generation_tasks (job_id, card_index, card_type, status, image_url)
       select $1, i - 1, 'cover', s, case when s = 'completed' then 'https://app/' || i end from unnest($2::text[]) with ordinality c (s, i)`, [id, statuses])
    // Dealt out one by one, the first card first: what lies before an open card goes back.
    const dealt = statuses.map(() => 0)
    for (let token = 0; token < cost; token++) dealt[token % cards]!++
    const back = dealt.reduce((sum, part, card) => sum + (OPEN.includes(statuses[card]!) ? part : 0), 0)
    jobs.push({ id, userId, back, finished: statuses.filter((status) => status === 'completed').length, cards })
  }
  return jobs
}

export const total = (jobs: StuckJob[], userId?: string): number => jobs.reduce((sum, job) => sum + (userId === undefined || job.userId === userId ? job.back : 0), 0)
