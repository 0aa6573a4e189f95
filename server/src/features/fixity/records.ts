import type { Database, Queryable } from '../../database/pool.ts'
import type { Examined } from '../../engine/heal.ts'
import type { Language } from '../../texts/texts.ts'
import type { Listed } from './compare.ts'

/** Tries to put a damaged file right while its source does not answer, after the first; then once a day. Minutes. */
const RETRY_MIN = [10, 60, 360]
const DAY_MIN = 24 * 60
/** So long a source may be away before its file counts as lost, and so long it is tried at all. */
const TELL_AFTER = '1 day'
const HOPE = '30 days'
/** A file is due again when two thirds of its time are over: the last third is for pace, outages and imports. */
const DUE = 2 / 3
const PAGE = 1_000

interface Options {
  db: Database
  schema: string
  node: string
  days: number
  leaseMs: number
  /** With which links in notices begin. */
  linkBase: string
}

/** What a file is to its owner. */
const WHAT: Record<string, Record<Language, string>> = {
  audio: { en: 'The track', ru: 'Трек', fr: 'Le titre' },
  image: { en: 'The cover of', ru: 'Обложка трека', fr: 'La pochette de' },
  video: { en: 'The video of', ru: 'Видео трека', fr: 'La vidéo de' },
  file: { en: 'The file', ru: 'Файл', fr: 'Le fichier' },
}

/** What fixity writes down. A file's row is only touched when reading it has ended: whoever dies before that leaves it due. */
export function createFixityRecords({ db, schema, node, days, leaseMs, linkBase }: Options) {
  async function tell(tx: Queryable, blobKey: string, missing: boolean): Promise<void> {
    const { rows } = await tx.query<{ user_id: string; track_id: string | null; mime: string; path: string; title: string | null }>(
      `select distinct on (f.user_id, f.track_id) f.user_id, f.track_id, f.mime, f.path, t.title from reprise.files f
       left join "${schema}".tracks t on t.id = f.track_id where f.blob_key = $1 order by f.user_id, f.track_id, f.path`, [blobKey])
    const notices = rows.map(({ user_id, track_id, mime, path, title }) => ({
      userId: user_id, occasion: missing ? 'file_lost' : 'file_damaged', link: track_id && `${linkBase}/workspace/library?track=${track_id}`,
      about: { what: WHAT[track_id ? mime.split('/')[0]! : 'file'] ?? WHAT.file, name: track_id ? title : path.split('/').at(-1) },
    }))
    await tx.query('select reprise.notify_all($1)', [JSON.stringify(notices)])
  }

  const endNobodys = (tx: Queryable) => tx.query(
    `update reprise.fixity_findings f set ended_at = reprise.now(), next_at = null
     where f.ended_at is null and f.kind <> 'orphan' and not exists (select from reprise.files s where s.blob_key = f.blob_key)`)

  const openFindings = async () => (await db.query<{ kind: string; count: number }>(
    'select kind, count(*) as count from reprise.fixity_findings where ended_at is null group by kind order by kind')).rows

  return {
    /** The next file to read, for this process alone; null when none is due. */
    async claim(): Promise<string | null> {
      const { rows } = await db.query<{ key: string | null }>({
        name: 'claim_fixity', text: `select reprise.claim_fixity($1, reprise.now() - $2 * interval '1 day', $3) as key`, values: [node, days * DUE, leaseMs],
      })
      return rows[0]!.key
    },

    renew: (blobKey: string) => db.query(
      `update reprise.fixity_claims set lease_until = reprise.now() + $3 * interval '1 millisecond' where blob_key = $1 and owner = $2`, [blobKey, node, leaseMs]),

    /** Gives a file back unread: for anybody at once (0), or for later, after those that nobody had yet. */
    release: (blobKey: string, afterMs: number) => afterMs === 0
      ? db.query('delete from reprise.fixity_claims where blob_key = $1 and owner = $2', [blobKey, node])
      : db.query(`update reprise.fixity_claims set lease_until = reprise.now() + $3 * interval '1 millisecond' where blob_key = $1 and owner = $2`, [blobKey, node, afterMs]),

    /** Writes down how a file was found, and tells its owner when it is lost. Null: no record names it any more. */
    async settle(blobKey: string, examined: Examined | null): Promise<void> {
      await db.transaction(async (tx) => {
        await tx.query('delete from reprise.fixity_claims where blob_key = $1 and owner = $2', [blobKey, node])
        const whole = examined !== null && examined.health !== 'gone'
        if (examined) {
          await tx.query(`update reprise.files set checked_at = reprise.now(), verified_at = case when $2 then reprise.now() else verified_at end where blob_key = $1`, [blobKey, whole])
        }
        if (examined?.damage) {
          await tx.query(
            `insert into reprise.fixity_findings as f (blob_key, kind) values ($1, $2)
             on conflict (blob_key) where ended_at is null do update set kind = excluded.kind`, [blobKey, examined.damage])
        }
        if (examined?.health !== 'gone') {
          await tx.query(
            `update reprise.fixity_findings set ended_at = reprise.now(), next_at = null, aside = coalesce($3, aside), repaired_at = case when $2 then reprise.now() end
             where blob_key = $1 and ended_at is null and kind <> 'orphan'`, [blobKey, whole, examined?.aside ?? null])
          return
        }
        const { rows: [finding] } = await tx.query<{ tell: boolean }>(
          `update reprise.fixity_findings f set detail = $2, seen_at = reprise.now(), tries = f.tries + 1, told_at = case when n.tell then reprise.now() else f.told_at end,
             next_at = case when $3 or f.found_at < reprise.now() - interval '${HOPE}' then null
               else reprise.now() + coalesce(($4::float8[])[f.tries + 1], ${DAY_MIN}) * interval '1 minute' end
           from (select o.id, o.told_at is null and ($3 or o.found_at <= reprise.now() - interval '${TELL_AFTER}') as tell
             from reprise.fixity_findings o where o.blob_key = $1 and o.ended_at is null) n
           where f.id = n.id returning n.tell`, [blobKey, examined.why, examined.lost, RETRY_MIN])
        if (finding!.tell) await tell(tx, blobKey, examined.damage === 'missing')
      })
    },

    /** Every stored file that a record names, in the order of the keys' bytes. */
    async *recorded(): AsyncGenerator<Listed> {
      for (let last = ''; ; ) {
        const { rows } = await db.query<Listed>({
          name: 'recorded_files', values: [last],
          text: `select * from reprise.stored_files_after($1, ${PAGE})`,
        })
        yield* rows
        if (rows.length < PAGE) return
        last = rows.at(-1)!.key
      }
    },

    /** Of these keys, those that no record names are put on record as orphans. Answers how many. */
    async orphans(keys: string[]): Promise<number> {
      const { rowCount } = await db.query(
        `insert into reprise.fixity_findings (blob_key, kind, detail)
         select k.key, 'orphan', case when t.deleted_at is not null then 'its track was deleted' else 'no record names it' end
         from unnest($1::text[], $2::uuid[]) as k (key, track_id) left join "${schema}".tracks t on t.id = k.track_id
         where not exists (select from reprise.files f where f.blob_key = k.key)
         on conflict (blob_key) where ended_at is null do update set seen_at = reprise.now()`,
        [keys, keys.map((key) => UUID_NAME.exec(key)?.[1] ?? null)])
      return rowCount
    },

    /** What was found of files that no record names any more has ended: only so can bytes that remain be orphans. */
    async beginPass(): Promise<number> {
      await endNobodys(db)
      const { rows } = await db.query<{ id: number }>('insert into reprise.fixity_passes default values returning id')
      return rows[0]!.id
    },

    /** Orphans that this pass has not seen are gone, or somebody's again. Answers how far reading is behind. */
    async endPass(id: number, seen: { files: number; bytes: number; damaged: number; orphans: number }): Promise<{ overdue: number; nodes: number }> {
      return db.transaction(async (tx) => {
        await endNobodys(tx) // deleted meanwhile
        await tx.query(
          `update reprise.fixity_findings set ended_at = reprise.now() where kind = 'orphan' and ended_at is null and seen_at < (select started_at from reprise.fixity_passes where id = $1)`, [id])
        await tx.query('update reprise.fixity_passes set ended_at = reprise.now(), files = $2, bytes = $3, damaged = $4, orphans = $5 where id = $1',
          [id, seen.files, seen.bytes, seen.damaged, seen.orphans])
        const { rows } = await tx.query<{ overdue: number; nodes: number }>(
          `select (${OVERDUE}) as overdue, (select count(*) from reprise.nodes where role <> 'api' and round_at > reprise.now() - interval '1 minute') as nodes`, [days])
        return rows[0]!
      })
    },

    overdue: async (): Promise<number> => (await db.query<{ n: number }>(`select (${OVERDUE}) as n`, [days])).rows[0]!.n,

    openFindings,

    /** Of these files, those that are known to be damaged still. */
    async damaged(blobKeys: string[]): Promise<Set<string>> {
      const { rows } = await db.query<{ key: string }>(
        `select blob_key as key from reprise.fixity_findings where blob_key = any ($1) and ended_at is null and kind <> 'orphan'`, [blobKeys])
      return new Set(rows.map((row) => row.key))
    },

    async board() {
      const [{ rows: [progress] }, { rows: passes }, { rows: open }, { rows: findings }] = await Promise.all([
        db.query<Record<string, any>>(
          `select count(*) as files, coalesce(sum(f.bytes), 0)::bigint as bytes, count(*) filter (where f.at <= n.at - $2 * interval '1 day') as due,
             count(*) filter (where f.at <= n.at - $1 * interval '1 day') as overdue, min(f.at) as oldest, max(f.checked_at) as last
           from (select reprise.now() as at) n, (select bytes, checked_at, coalesce(checked_at, created_at) as at from reprise.files) f`, [days, days * DUE]),
        db.query<Record<string, any>>('select * from reprise.fixity_passes where ended_at is not null order by id desc limit 1'),
        openFindings().then((rows) => ({ rows })),
        db.query<Record<string, any>>(
          `select f.*, n.user_id, n.track_id, n.title from reprise.fixity_findings f
           left join lateral (select s.user_id, s.track_id, t.title from reprise.files s left join "${schema}".tracks t on t.id = s.track_id where s.blob_key = f.blob_key limit 1) n on true
           order by f.ended_at is not null, f.found_at desc, f.id desc limit 200`),
      ])
      return { progress: progress!, pass: passes[0] ?? null, open, findings }
    },
  }
}

/** Files that nobody has read within $1 days. */
const OVERDUE = `select count(*) from reprise.files where coalesce(checked_at, created_at) <= reprise.now() - $1 * interval '1 day'`

/** Files of a track are named after it: `tracks-audio/<user>/<track>.mp3`. */
const UUID_NAME = /\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})[^/]*$/

export type FixityRecords = ReturnType<typeof createFixityRecords>
