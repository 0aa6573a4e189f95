import type { Database } from '../../database/pool.ts'
import type { Transfer } from './ledger.ts'

/** Every field narrows; times are ISO 8601, `to` is the first moment that no longer counts. */
export interface Search {
  userId?: string
  generationId?: string
  kind?: Transfer['kind']
  from?: string
  to?: string
}

export interface ExploredTransfer extends Transfer {
  userId: string
  /** The user as their token names them; null when Reprise never saw one. */
  subject: string | null
  fromAccount: string
  toAccount: string
  actor: string
}

export interface Violation {
  promise: string
  userId: string
  generationId: string | null
}

export interface LedgerHealth {
  /** What the last look found, and the first hundred of it; null when nobody has looked yet. */
  last: { at: Date; found: number; violations: Violation[] } | null
  /** A look that could not be made, when it came after the last one that could. */
  failure: { at: Date; error: string } | null
}

/** What operators see of all users' tokens. */
export function createExplorer({ db }: { db: Database }) {
  return {
    /** Newest first, before the transfer of this id. */
    async find(search: Search, limit: number, before: number | null): Promise<ExploredTransfer[]> {
      // Only what is asked for stands in the statement, so that each question gets the plan that suits it.
      const values: unknown[] = []
      const where = (value: unknown, condition: (place: string) => string) => (value === undefined || value === null ? [] : [condition(`$${values.push(value)}`)])
      const conditions = [
        ...where(search.userId, ($) => `t.user_id = ${$}`),
        ...where(search.generationId, ($) => `t.generation_id = ${$}`),
        ...where(search.kind, ($) => `t.kind = ${$}${['signup', 'grant', 'adjustment'].includes(search.kind!) ? ` and t.kind in ('signup', 'grant', 'adjustment')` : ''}`),
        ...where(search.from, ($) => `t.at >= ${$}`),
        ...where(search.to, ($) => `t.at < ${$}`),
        ...where(before, ($) => `t.id < ${$}`),
      ]
      const { rows } = await db.query<ExploredTransfer>(
        `select t.id, t.at, t.kind, t.amount, t.generation_id as "generationId", reprise.image_job_of(t.generation_id) as "imageJobId", t.item_index as "itemIndex", t.reason,
           t.user_id as "userId", a.subject, t.from_account as "fromAccount", t.to_account as "toAccount", t.actor
         from (select * from reprise.ledger_transfers t ${conditions.length ? `where ${conditions.join(' and ')}` : ''} order by t.id desc limit $${values.push(limit)}) t
         left join reprise.accounts a on a.user_id = t.user_id order by t.id desc`, values)
      return rows
    },

    /** How the daily look at the promises about tokens ended. Nothing is looked at now: it reads the whole ledger. */
    async health(): Promise<LedgerHealth> {
      const { rows: [last] } = await db.query<{ at: Date; found: number; violations: Violation[] }>('select at, found, violations from reprise.ledger_checks order by id desc limit 1')
      const { rows: [run] } = await db.query<{ at: Date | null; error: string | null }>(
        `select last_failure as at, last_error as error from reprise.schedule_runs where name = 'ledger-check' and last_failure > coalesce(last_success, '-infinity')`)
      return { last: last ?? null, failure: run?.at ? { at: run.at, error: run.error ?? '' } : null }
    },
  }
}

export type Explorer = ReturnType<typeof createExplorer>
