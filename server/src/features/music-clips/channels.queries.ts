import type { Database, Queryable } from '../../database/pool.ts'
import type { Channel } from './channel.ts'

const COLUMNS = `id, user_id as "userId", name, type, language, timezone, music_clips_settings as "musicClipsSettings",
  created_at as "createdAt", updated_at as "updatedAt"`

export function createChannels(db: Database) {
  return {
    async list(userId: string, limit: number, after: [string, string] | undefined): Promise<Channel[]> {
      const { rows } = await db.query<Channel>(
        `select ${COLUMNS} from reprise.channels where user_id = $1 and deleted_at is null
         ${after ? 'and (created_at, id) < ($3::timestamptz, $4)' : ''} order by created_at desc, id desc limit $2`,
        [userId, limit, ...(after ?? [])],
      )
      return rows
    },
    async find(id: string, userId: string, on: Queryable = db): Promise<Channel | null> {
      const { rows } = await on.query<Channel>(`select ${COLUMNS} from reprise.channels where id = $1 and user_id = $2 and deleted_at is null`, [id, userId])
      return rows[0] ?? null
    },
    /** Null when the id belongs to somebody else: nothing is said about it. */
    async put(channel: Pick<Channel, 'id' | 'userId' | 'name' | 'type' | 'language' | 'timezone' | 'musicClipsSettings'>): Promise<Channel | null> {
      const { rows } = await db.query<Channel>(
        `insert into reprise.channels as c (id, user_id, name, type, language, timezone, music_clips_settings, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, date_trunc('milliseconds', reprise.now()))
         on conflict (id) do update set name = excluded.name, type = excluded.type, language = excluded.language, timezone = excluded.timezone,
           -- what was run last is ours to know: a form that does not send it does not forget it
           music_clips_settings = case when excluded.music_clips_settings ->> 'lastJobId' is not null then excluded.music_clips_settings
             else excluded.music_clips_settings || jsonb_build_object('lastJobId', c.music_clips_settings -> 'lastJobId', 'lastJobStatus', c.music_clips_settings -> 'lastJobStatus') end,
           updated_at = reprise.now(), deleted_at = null
         where c.user_id = excluded.user_id
         returning ${COLUMNS}`,
        [channel.id, channel.userId, channel.name, channel.type, channel.language, channel.timezone, JSON.stringify(channel.musicClipsSettings)],
      )
      return rows[0] ?? null
    },
    /** Changes these fields and settings only, whatever happens to the others at the same moment (a run writes its stage). */
    async change(id: string, userId: string, fields: Partial<Pick<Channel, 'name' | 'type' | 'language' | 'timezone'>>, settings: object): Promise<Channel | null> {
      const { name, type, language, timezone } = fields
      const { rows } = await db.query<Channel>(
        `update reprise.channels set name = coalesce($3, name), type = coalesce($4, type), language = coalesce($5, language), timezone = coalesce($6, timezone),
           music_clips_settings = music_clips_settings || $7::jsonb, updated_at = reprise.now()
         where id = $1 and user_id = $2 and deleted_at is null returning ${COLUMNS}`,
        [id, userId, name, type, language, timezone, JSON.stringify(settings)],
      )
      return rows[0] ?? null
    },
    async remove(id: string, userId: string): Promise<boolean> {
      const { rowCount } = await db.query('update reprise.channels set deleted_at = reprise.now() where id = $1 and user_id = $2 and deleted_at is null', [id, userId])
      return rowCount > 0
    },
  }
}

export type Channels = ReturnType<typeof createChannels>
