import type { Database, Queryable } from '../../database/pool.ts'

/** Where our own URLs stand. */
const URL_COLUMNS = {
  tracks: ['audio_url', 'cover_url', 'video_url', 'storage_audio_url', 'storage_cover_url', 'storage_video_url'],
  generation_tasks: ['image_url', 'thumbnail_url'],
}

const REFRESH_MS = 10_000

/**
 * The address with which URLs in columns begin: one for all processes, kept in the database, so that a worker which
 * cannot know where the API listens writes the same as everybody.
 * @param fallback the address of this process, remembered when nobody has told a better one yet
 */
export function createBaseAddress({ db, schema, fallback }: { db: Database; schema: string; fallback: () => string }) {
  let known: string[] = []
  let readAt = -Infinity

  async function read(): Promise<void> {
    const { rows } = await db.query<{ value: string }>(`select value from reprise.secrets where name = 'base_url'`)
    known = rows.map((row) => row.value)
  }

  return {
    /** As far as this process knows by now; asked anew after a while, since another process may have told a new one. */
    known(): string[] {
      const now = performance.now()
      if (now - readAt > REFRESH_MS) {
        readAt = now
        read().catch(() => (readAt = -Infinity)) // the database is away: what was known is still the best answer
      }
      return known
    },
    read,

    /** For a transaction that writes URLs: they cannot be written past a change of the address at the same moment. */
    async current(tx: Queryable): Promise<string> {
      const kept = () => tx.query<{ value: string }>({ name: 'base_url', text: `select value from reprise.secrets where name = 'base_url' for share` })
      const { rows } = await kept()
      if (rows[0]) return rows[0].value
      await tx.query(`insert into reprise.secrets (name, value) values ('base_url', $1) on conflict (name) do nothing`, [fallback()])
      return (await kept()).rows[0]!.value
    },

    /** Told by a process that knows the address. When it changed, our own URLs in columns follow, foreign ones stay. */
    async remember(base: string): Promise<void> {
      await db.transaction(async (tx) => {
        await tx.query(`insert into reprise.secrets (name, value) values ('base_url', $1) on conflict (name) do nothing`, [base])
        const { rows: [kept] } = await tx.query<{ value: string }>(`select value from reprise.secrets where name = 'base_url' for update`)
        if (kept!.value === base) return
        await tx.query(`update reprise.secrets set value = $1 where name = 'base_url'`, [base])
        await tx.query(`select set_config('reprise.vouched', 'on', true)`) // the same files under another address
        const ours = (column: string) => `starts_with(${column}, $1 || '/storage/v1/object/')`
        for (const [table, columns] of Object.entries(URL_COLUMNS)) {
          await tx.query(
            `update "${schema}".${table} set ${columns.map((column) => `${column} = case when ${ours(column)} then $2 || substr(${column}, length($1) + 1) else ${column} end`).join(', ')},
               updated_at = reprise.now()
             where ${columns.map(ours).join(' or ')}`, [kept!.value, base])
        }
      })
      known = [base]
    },
  }
}

export type BaseAddress = ReturnType<typeof createBaseAddress>
