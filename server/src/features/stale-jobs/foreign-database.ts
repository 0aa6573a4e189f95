import pg from 'pg'
import { connectForeign } from '../../database/foreign.ts'
import { CommandRefused } from '../../kernel/command-refused.ts'

const OPEN_JOB = `('pending', 'processing')`
const ENDED_JOB = `('completed', 'failed')`
const OPEN_CARD = `('pending', 'processing', 'retrying')`
const LONG_AGO = `now() - interval '10 minutes'`
const LIMIT = `set local statement_timeout = '60s';`

export interface RefundStatement {
  /** With $user, $amount, $reason, and $job if it wants. */
  text: string
}

export interface PlannedRepair {
  jobId: string
  userId: string
  /** What the job gets; one that had ended and left cards behind keeps its own. */
  status: 'completed' | 'failed'
  cards: number
  kept: number
  /** Cards that were open, and those that never got a row. */
  unfinished: number
  refund: number
  neverStarted: boolean
  /** Closes and refunds this job once, in one transaction, if it still is as it was planned; plain SQL. */
  sql: string
}

/**
 * `closed`: it had been repaired before, so nothing was refunded. `alive`: somebody has closed it or taken it up again.
 * `changed`: it is not as it was planned, and left alone. `busy`: somebody writes it at this moment, so it was left alone.
 */
export type RepairOutcome = 'repaired' | 'closed' | 'alive' | 'changed' | 'busy'

/**
 * Seed 004's tables in a database that is not ours: nothing of Reprise is there, and nothing but its jobs is touched.
 * Whatever is said to it is one message and one transaction, so that a pooler in between may give each to another session;
 * the time zone stays theirs, as columns without one were filled by it.
 */
export interface ForeignDatabase {
  /** Where, without user and password. */
  name: string
  /** Creates the table that makes every repair one for ever. */
  preparation: string
  /** Reads only. Without `refund` a job whose tokens belong to somebody has SQL that refuses to close it. */
  plan(refund: RefundStatement | null): Promise<PlannedRepair[]>
  prepare(): Promise<void>
  repair(planned: PlannedRepair): Promise<RepairOutcome>
  close(): Promise<void>
}

/** @param url of the database; never shown. Throws CommandRefused. */
export async function openForeignDatabase({ url, schema }: { url: string; schema: string }): Promise<ForeignDatabase> {
  const { client, name, refusalOf } = await connectForeign(url, { option: '--database', command: 'reprise repair-stuck' })
  const told = (error: unknown) => Promise.reject(refusalOf(error, { '42501': `${name}: this user may not do that (${(error as Error).message}).` }))
  try {
    const jobs = await columnsOf('generation_jobs', ['id', 'user_id', 'status', 'created_at', 'tokens_cost'])
    const cards = await columnsOf('generation_tasks', ['id', 'job_id', 'status'])
    const at = (table: string) => `${pg.escapeIdentifier(schema)}.${table}`
    const repairs = at('reprise_repairs')
    const preparation = [
      `create table if not exists ${repairs} (job_id text primary key, user_id text not null, amount bigint not null, repaired_at timestamptz not null default now());`,
      `alter table ${repairs} enable row level security;`,
      '',
    ].join('\n')
    const since = jobs.has('started_at') ? 'coalesce(j.started_at, j.created_at)' : 'j.created_at'
    const isStuck = `j.status::text in ${OPEN_JOB} and ${since} < ${LONG_AGO}`
    const hadEnded = `j.status::text in ${ENDED_JOB} and ${jobs.has('completed_at') ? `greatest(${since}, j.completed_at)` : since} < ${LONG_AGO}`

    return {
      name,
      preparation,

      async plan(refund) {
        const order = cards.has('card_index') ? 't.card_index, t.id' : 't.id'
        const isOf = cards.get('job_id') === jobs.get('id') ? (card: string, job: string) => `${card} = ${job}` : (card: string, job: string) => `${card}::text = ${job}::text`
        const rows = await message<PlanRow>(
          `set transaction read only;
           with stuck as (
             select j.* from ${at('generation_jobs')} j where ${isStuck}
             union all
             select j.* from ${at('generation_jobs')} j join (select distinct t.job_id from ${at('generation_tasks')} t where t.status::text in ${OPEN_CARD}) o on ${isOf('o.job_id', 'j.id')}
             where ${hadEnded}
           )
           select j.id::text as id, j.user_id::text as "userId", j.status::text as status, j.tokens_cost::text as cost,
             ${jobs.has('total_cards') ? 'coalesce(j.total_cards, 0)' : '0'}::int as total, ${jobs.has('started_at') ? 'j.started_at is null' : 'true'} as "neverStarted",
             coalesce(json_agg(json_build_object('id', t.id::text, 'status', t.status::text) order by ${order}) filter (where t.id is not null), '[]') as cards
           from stuck j left join ${at('generation_tasks')} t on ${isOf('t.job_id', 'j.id')}
           group by 1, 2, 3, 4, 5, 6, ${since} order by ${since}, 1`).catch(told)
        return rows.map((row) => planOf(row, refund))
      },

      async prepare() {
        await message(preparation).catch(told)
      },

      async repair({ sql }) {
        const rows = await message<{ outcome: RepairOutcome }>(`${sql} select current_setting('reprise.repair') as outcome`)
          .catch((error: unknown) => BUSY.has((error as { code?: string }).code ?? '') ? [{ outcome: 'busy' as const }] : Promise.reject(error))
        return rows[0]!.outcome
      },

      close: () => client.end(),
    }

    /** Several statements in one transaction; the rows of the last one. */
    async function message<Row>(sql: string): Promise<Row[]> {
      const results = await client.query(`${LIMIT} ${sql}`) as unknown as pg.QueryResult[]
      return results.at(-1)!.rows as Row[]
    }

    /** The columns of a table of the seed and their types; those without which nothing can be told are insisted on. */
    async function columnsOf(table: string, needed: string[]): Promise<Map<string, string>> {
      const rows = await message<{ column: string; type: string; mark: string | null }>(
        `select a.attname as column, a.atttypid::regtype::text as type, obj_description(c.oid) as mark
         from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where n.nspname = ${pg.escapeLiteral(schema)} and c.relname = ${pg.escapeLiteral(table)}`)
      if (rows.length === 0) throw new CommandRefused(`There is no table ${schema}.${table} in ${name}.`)
      if (rows[0]!.mark?.startsWith('reprise')) throw new CommandRefused(`${schema}.${table} in ${name} is Reprise's own: leave --database out.`)
      const columns = new Map(rows.map(({ column, type }) => [column, type]))
      const missing = needed.filter((column) => !columns.has(column))
      if (missing.length) throw new CommandRefused(`${schema}.${table} in ${name} has no ${missing.join(', ')}: it is not a table as seed 004 has it.`)
      return columns
    }

    function planOf(row: PlanRow, refund: RefundStatement | null): PlannedRepair {
      const { id, userId, cost, total, neverStarted, cards: rows } = row
      if (cost !== null && !/^\d+(\.0*)?$/.test(cost)) throw new CommandRefused(`The tokens_cost of job ${id} in ${name} is ${cost}: only whole tokens can be given back.`)
      const all = Math.max(rows.length, total, 1)
      const isOpen = (status: string) => ['pending', 'processing', 'retrying'].includes(status)
      const kept = rows.filter(({ status }) => status === 'completed').length
      const places = Array.from({ length: all }, (_, place) => place).filter((place) => !rows[place] || isOpen(rows[place].status))
      const amount = Number(places.reduce((sum, place) => sum + cardShare(BigInt(cost?.split('.')[0] ?? 0), all, place), 0n))
      const had = row.status === 'completed' || row.status === 'failed' ? row.status : null
      const status = had ?? (kept > 0 ? 'completed' : 'failed')
      const planned = { jobId: id, userId, status, cards: all, kept, unfinished: places.length, refund: amount, neverStarted } as const
      return { ...planned, sql: statement(planned, had !== null, rows, rows.filter((card) => isOpen(card.status)), refund) }
    }

    function statement({ jobId, userId, status, cards: all, kept, unfinished, refund: amount }: Omit<PlannedRepair, 'sql'>, had: boolean, rows: Card[], open: Card[], refund: RefundStatement | null): string {
      const text = (value: string) => pg.escapeLiteral(value)
      const job = text(jobId)
      const tell = (outcome: RepairOutcome) => `perform set_config('reprise.repair', '${outcome}', true);`
      const set = (columns: Map<string, string>, values: Record<string, string>) => Object.entries(values).filter(([column]) => columns.has(column)).map(([column, value]) => `${column} = ${value}`).join(', ')
      const note = kept < all ? text(`${all - kept} of ${all} cards failed: nobody worked on them any more`) : 'null'
      const lines = [
        `-- job ${jobId.replaceAll(/\s+/g, ' ')}: ${kept} of ${all} cards are finished, ${unfinished} are not: ${amount} tokens back`,
        `declare n bigint; answer text; begin`,
        `  set local lock_timeout = '3s';`,
        `  perform from ${at('generation_jobs')} j where j.id = ${job} and ${had ? hadEnded : isStuck} for update;`,
        `  if not found then ${tell('alive')} return; end if;`,
        `  if array(select c.card from (select t.id::text || ' ' || t.status::text as card from ${at('generation_tasks')} t where t.job_id = ${job} for update) c order by c.card collate "C")`,
        `    <> array[${rows.map((card) => `${card.id} ${card.status}`).sort().map(text).join(', ')}]::text[] then ${tell('changed')} return; end if; -- make a new plan`,
        `  insert into ${repairs} (job_id, user_id, amount) values (${job}, ${text(userId)}, ${amount}) on conflict do nothing;`,
        `  if not found then ${tell('closed')} else ${tell('repaired')}`,
        ...(amount > 0 ? refundOf(refund, { user: text(userId), amount: String(amount), job, reason: text(`refund: cards of job ${jobId} that were not made`) }) : []),
        `  end if;`,
        ...(open.length
          ? [`  update ${at('generation_tasks')} set ${set(cards, { status: `'failed'`, last_error: `coalesce(last_error, 'Nobody worked on it any more')`, completed_at: 'now()', updated_at: 'now()' })} where id in (${open.map(({ id }) => text(id)).join(', ')});`]
          : []),
        `  update ${at('generation_jobs')} set ${set(jobs, {
          status: `'${status}'`, completed_cards: String(kept), error_message: had ? `coalesce(error_message, ${note})` : note, completed_at: had ? 'coalesce(completed_at, now())' : 'now()', updated_at: 'now()',
        })} where id = ${job};`,
        `end`,
      ]
      const [title, ...body] = lines
      let mark = '$repair$'
      while (lines.some((line) => line.includes(mark))) mark = mark.replace(/.$/, '_$')
      return `${title}\ndo ${mark} ${body.join('\n')} ${mark};\n`
    }
  } catch (error) {
    await client.end().catch(() => undefined)
    throw error
  }
}

/** A lock that was not to be had, or a deadlock that took us out: nothing was written. */
const BUSY = new Set(['55P03', '40P01'])

interface Card {
  id: string
  status: string
}

interface PlanRow {
  id: string
  userId: string
  status: string
  cost: string | null
  total: number
  neverStarted: boolean
  cards: Card[]
}

/** A card's part of what its job cost, in whole tokens: all parts together are the cost. As reprise.card_share. */
export const cardShare = (cost: bigint, cards: number, place: number): bigint => cost / BigInt(cards) + (BigInt(place) < cost % BigInt(cards) ? 1n : 0n)

const PLACES = /\$(user|amount|reason|job)\b/g

/** Throws CommandRefused for a statement that would give everybody the same. */
export function checkRefundStatement(text: string): RefundStatement {
  const found = new Set([...text.matchAll(PLACES)].map(([, name]) => name))
  for (const needed of ['user', 'amount']) {
    if (!found.has(needed)) throw new CommandRefused(`--refund does not name $${needed}. Write it like: select refund_tokens($user, $amount, $reason)`)
  }
  return { text: text.trim().replace(/;+$/, '') }
}

/** A refund that changes no row, or whose function answers nothing or false, was none: the job stays open. */
function refundOf(refund: RefundStatement | null, values: Record<'user' | 'amount' | 'job' | 'reason', string>): string[] {
  if (!refund) return [`    raise exception '% tokens belong to %: plan again with --refund', ${values.amount}, ${values.user};`]
  const answers = /^(select|with|values)\b|\breturning\b/i.test(refund.text)
  return [
    `    execute ${pg.escapeLiteral(refund.text.replaceAll(PLACES, (_, name: keyof typeof values) => values[name]))}${answers ? ' into answer' : ''};`,
    `    get diagnostics n = row_count;`,
    `    if n = 0${answers ? ` or answer is null or answer in ('f', 'false')` : ''} then raise exception 'the refund reached nobody'; end if;`,
  ]
}
