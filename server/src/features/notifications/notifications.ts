import type { Database } from '../../database/pool.ts'
import type { Language } from '../../texts/texts.ts'

/** What a user can be told of. `archive_failed` and `balance_low` included, which no generation tells. */
export const KINDS = ['started', 'done', 'partly_done', 'failed', 'archive_failed', 'balance_low'] as const
export type Kind = (typeof KINDS)[number]

export interface NoticeRow {
  id: string
  kind: string | null
  type: string
  title: string
  message: string
  link: string | null
  readAt: Date | null
  createdAt: Date
  /** To the microsecond, for cursors. */
  exactAt: string
}

export interface NoticeSettings {
  kinds: Record<Kind, boolean>
  /** In which language notices are written; null: not known, Russian then. */
  language: Language | null
  /** Told when fewer tokens than this are left; 0: never. */
  lowBalance: number
}

const COLUMNS = `id, kind, type, title, message, link, read_at as "readAt", created_at as "createdAt",
  to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "exactAt"`
/** A bell need not count further. */
const MOST_COUNTED = 1_000

/** Notices of one user each; they are written by `reprise.notify_all`. */
export function createNotifications({ db, schema }: { db: Database; schema: string }) {
  return {
    /** Newest first, after the keyset `[exactAt, id]` of the page before. */
    async list(userId: string, limit: number, { after, unread }: { after?: [string, string]; unread: boolean }): Promise<NoticeRow[]> {
      const { rows } = await db.query<NoticeRow>(
        `select ${COLUMNS} from "${schema}".notifications where user_id = $1 ${unread ? 'and read_at is null' : ''}
         ${after ? 'and (created_at, id) < ($3::timestamptz, $4::uuid)' : ''} order by created_at desc, id desc limit $2`,
        [userId, limit, ...(after ?? [])])
      return rows
    },

    /** At most 1,000. */
    async unread(userId: string): Promise<number> {
      const { rows } = await db.query<{ n: number }>(
        `select count(*) as n from (select from "${schema}".notifications where user_id = $1 and read_at is null limit ${MOST_COUNTED}) u`, [userId])
      return rows[0]!.n
    },

    /** Marks these notices of the user's, or all that there are, as read. Ids of nobody's or somebody else's change nothing. */
    async read(userId: string, ids: string[] | 'all'): Promise<void> {
      await db.query(
        `update "${schema}".notifications set read_at = reprise.now() where user_id = $1 and read_at is null ${ids === 'all' ? '' : 'and id = any ($2)'}`,
        ids === 'all' ? [userId] : [userId, ids])
    },

    async settings(userId: string): Promise<NoticeSettings> {
      const { rows: [row] } = await db.query<{ off: string[] | null; language: Language | null; low: number | null }>(
        `select s.off, s.language, (select w.low_at from reprise.wallets w where w.user_id = $1) as low
         from (select $1::uuid as user_id) me left join reprise.notice_settings s using (user_id)`, [userId])
      const off = row!.off ?? ['started']
      return {
        kinds: Object.fromEntries(KINDS.map((kind) => [kind, !off.includes(kind)])) as NoticeSettings['kinds'],
        language: row!.language, lowBalance: row!.low ?? 20,
      }
    },

    async change(userId: string, { kinds, language, lowBalance }: NoticeSettings): Promise<void> {
      await db.transaction(async (tx) => {
        await tx.query(
          `insert into reprise.notice_settings (user_id, off, language) values ($1, $2, $3)
           on conflict (user_id) do update set off = excluded.off, language = excluded.language, updated_at = reprise.now()`,
          [userId, KINDS.filter((kind) => !kinds[kind]), language])
        await tx.query('select reprise.open_wallet($1)', [userId])
        await tx.query('update reprise.wallets set low_at = $2 where user_id = $1 and low_at <> $2', [userId, lowBalance])
      })
    },
  }
}

export type Notifications = ReturnType<typeof createNotifications>
