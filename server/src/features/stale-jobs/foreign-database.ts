import pg from 'pg'
import { connectForeign } from '../../database/foreign.ts'
import { CommandRefused } from '../../kernel/command-refused.ts'

const STALE_MINUTES = 10
const OPEN_JOB = `('pending', 'processing')`
const OPEN_CARD = `('pending', 'processing', 'retrying')`

export interface RefundStatement {
  /** With $user, $amount, $reason, and $job if it wants. */
  text: string
}

export interface PlannedRepair {
  jobId: string
  userId: string
  /** What the job gets. */
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

/** `closed`: it had been repaired before, so nothing was refunded. `ended`: somebody else has closed it. `changed`: it is not as it was planned, and left alone. */
export type RepairOutcome = 'repaired' | 'closed' | 'ended' | 'changed'

/** Seed 004's tables in a database that is not ours: nothing of Reprise is there, and nothing but its jobs is touched. */
export interface ForeignDatabase {
  /** Where, without user and password. */
  name: string
  /** Creates the table that makes every repair one for ever. */
  preparation: string
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
    await client.query(`set timezone = 'UTC'; set statement_timeout = '60s'; set idle_in_transaction_session_timeout = '60s'`)
    const jobs = await columnsOf('generation_jobs', ['id', 'user_id', 'status', 'created_at', 'tokens_cost'])
    const cards = await columnsOf('generation_tasks', ['id', 'job_id', 'status'])
    const at = (table: string) => `${pg.escapeIdentifier(schema)}.${table}`
    const repairs = at('reprise_repairs')
    const preparation = [
      `create table if not exists ${repairs} (job_id text primary key, user_id text not null, amount bigint not null, refunded boolean not null, repaired_at timestamptz not null default now());`,
      `alter table ${repairs} enable row level security;`,
      '',
    ].join('\n')

    return {
      name,
      preparation,

      async plan(refund) {
        const order = cards.has('card_index') ? 't.card_index, t.id' : 't.id'
        const since = jobs.has('started_at') ? 'coalesce(j.started_at, j.created_at)' : 'j.created_at'
        const { rows } = await client.query<PlanRow>(
          `select j.id::text as id, j.user_id::text as "userId", j.tokens_cost::text as cost, ${jobs.has('total_cards') ? 'coalesce(j.total_cards, 0)' : '0'}::int as total,
             ${jobs.has('started_at') ? 'j.started_at is null' : 'true'} as "neverStarted",
             coalesce((select json_agg(json_build_object('id', t.id::text, 'status', t.status::text) order by ${order}) from ${at('generation_tasks')} t where t.job_id = j.id), '[]') as cards
           from ${at('generation_jobs')} j where j.status::text in ${OPEN_JOB} and ${since} < now() - $1 * interval '1 minute' order by ${since}, j.id`, [STALE_MINUTES]).catch(told)
        return rows.map((row) => planOf(row, refund))
      },

      async prepare() {
        await client.query(preparation).catch(told)
      },

      async repair({ sql }) {
        await client.query(sql)
        const { rows: [row] } = await client.query<{ outcome: RepairOutcome }>(`select current_setting('reprise.repair') as outcome`)
        return row!.outcome
      },

      close: () => client.end(),
    }

    /** The columns of a table of the seed; those without which nothing can be told are insisted on. */
    async function columnsOf(table: string, needed: string[]): Promise<Set<string>> {
      const { rows } = await client.query<{ column: string; mark: string | null }>(
        `select a.attname as column, obj_description(c.oid) as mark
         from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where n.nspname = $1 and c.relname = $2`, [schema, table])
      if (rows.length === 0) throw new CommandRefused(`There is no table ${schema}.${table} in ${name}.`)
      if (rows[0]!.mark === 'reprise') throw new CommandRefused(`${schema}.${table} in ${name} is Reprise's own: leave --database out.`)
      const columns = new Set(rows.map(({ column }) => column))
      const missing = needed.filter((column) => !columns.has(column))
      if (missing.length) throw new CommandRefused(`${schema}.${table} in ${name} has no ${missing.join(', ')}: it is not a table as seed 004 has it.`)
      return columns
    }

    function planOf({ id, userId, cost, total, neverStarted, cards: rows }: PlanRow, refund: RefundStatement | null): PlannedRepair {
      const all = Math.max(rows.length, total, 1)
      const isOpen = (status: string) => ['pending', 'processing', 'retrying'].includes(status)
      const kept = rows.filter(({ status }) => status === 'completed').length
      const open = rows.filter(({ status }) => isOpen(status))
      const places = Array.from({ length: all }, (_, place) => place).filter((place) => !rows[place] || isOpen(rows[place].status))
      const amount = Number(places.reduce((sum, place) => sum + cardShare(BigInt(cost ?? 0), all, place), 0n))
      const status = kept > 0 ? 'completed' : 'failed'
      const planned = { jobId: id, userId, status, cards: all, kept, unfinished: places.length, refund: amount, neverStarted } as const
      return { ...planned, sql: statement(planned, open.map((card) => card.id).sort(), refund) }
    }

    function statement({ jobId, userId, status, cards: all, kept, unfinished, refund: amount }: Omit<PlannedRepair, 'sql'>, open: string[], refund: RefundStatement | null): string {
      const text = (value: string) => pg.escapeLiteral(value)
      const job = text(jobId)
      const tell = (outcome: RepairOutcome) => `perform set_config('reprise.repair', '${outcome}', false);`
      const set = (columns: Set<string>, values: Record<string, string>) => Object.entries(values).filter(([column]) => columns.has(column)).map(([column, value]) => `${column} = ${value}`).join(', ')
      const paid = refund !== null && amount > 0
      const lines = [
        `-- job ${jobId.replaceAll(/\s+/g, ' ')}: ${kept} of ${all} cards are finished, ${unfinished} are not: ${amount} tokens back`,
        `declare n bigint; begin`,
        `  perform from ${at('generation_jobs')} where id = ${job} and status::text in ${OPEN_JOB} for update;`,
        `  if not found then ${tell('ended')} return; end if;`,
        `  perform from ${at('generation_tasks')} where job_id = ${job} for update;`,
        `  if array(select id::text from ${at('generation_tasks')} where job_id = ${job} and status::text in ${OPEN_CARD} order by id::text collate "C") <> array[${open.map(text).join(', ')}]::text[]`,
        `    or (select count(*) from ${at('generation_tasks')} where job_id = ${job} and status::text = 'completed') <> ${kept} then ${tell('changed')} return; end if; -- make a new plan`,
        `  insert into ${repairs} (job_id, user_id, amount, refunded) values (${job}, ${text(userId)}, ${amount}, ${paid}) on conflict do nothing;`,
        `  if not found then ${tell('closed')} else ${tell('repaired')}`,
        ...(paid
          ? [
              `    execute ${text(filled(refund.text, { user: text(userId), amount: String(amount), job, reason: text(`refund: cards of job ${jobId} that were not made`) }))};`,
              `    get diagnostics n = row_count;`,
              `    if n = 0 then raise exception 'the refund reached nobody'; end if;`,
            ]
          : amount > 0 ? [`    -- ${amount} tokens belong to this user: nothing here gives them back, see --refund`] : []),
        `  end if;`,
        `  update ${at('generation_tasks')} set ${set(cards, { status: `'failed'`, last_error: `'Nobody worked on it any more'`, completed_at: 'now()', updated_at: 'now()' })} where job_id = ${job} and status::text in ${OPEN_CARD};`,
        `  update ${at('generation_jobs')} set ${set(jobs, { status: `'${status}'`, completed_cards: String(kept), error_message: text(`${all - kept} of ${all} cards failed: nobody worked on them any more`), completed_at: 'now()', updated_at: 'now()' })} where id = ${job};`,
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

interface PlanRow {
  id: string
  userId: string
  cost: string | null
  total: number
  neverStarted: boolean
  cards: { id: string; status: string }[]
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

const filled = (text: string, values: Record<string, string>): string => text.replaceAll(PLACES, (_, name: string) => values[name]!)
