import { CommandRefused } from '../../kernel/command-refused.ts'
import type { Queryable } from '../../database/pool.ts'
import { isUuid } from '../../kernel/ids.ts'
import { jsonForDatabase } from '../../kernel/json.ts'
import { createReader, ROLES, type Candidate, type Refusal } from './candidate.ts'
import { chooseColumns, type Field } from './columns.ts'
import { BATCH, type Source } from './source.ts'
import { Tally } from './tally.ts'

export interface ImportDeps {
  /** ONE connection, kept as long as the import: the rows wait for their turn in temporary tables of its session. */
  session: Queryable
  /** Schema of `tracks`. */
  schema: string
  /** Hosts from which files may come by plain http. */
  allowHosts: string[]
}

export interface StageOptions {
  map: Map<Field, string>
  sourceName: string | null
  user: string | null
  /** Leave out what its provider has deleted by the calendar. */
  skipExpired: boolean
  /** Nothing will be moved: the rows themselves are not kept. */
  planOnly: boolean
}

export type OnProgress = (done: number, of: number) => void

/** What is known of the tracks of a source before anything is moved. */
export interface Plan {
  /** Not known here yet. */
  new: number
  /** Here, with all their files. */
  alreadyArchived: number
  /** Here, still to be archived. */
  underWay: number
  /** Their address has changed, and nothing is stored yet: the new one is taken. */
  moved: number
  /** Their address has changed, but the file of the first is stored: it stays. */
  kept: number
  /** Deleted here by their owner: they stay deleted. */
  deletedHere: number
  /** Of the new, moved and under way: gone by the calendar of their provider. They are tried last. */
  expired: number
  /** Of these: expire within two days. */
  urgent: number
  hosts: { host: string; tracks: number; expired: number; urgent: number; keepsDays: number | null; firstExpiry: Date | null }[]
  mostUrgent: { title: string | null; sourceId: string; host: string; expiresAt: Date }[]
  /** By seed 002's average sizes. */
  bytes: { audio: number; covers: number; videos: number; total: number }
}

/** How the tracks of a source stand in the archive. */
export interface Outcome {
  archived: number
  alreadyArchived: number
  /** The song is stored, a cover or video is not. */
  partly: number
  /** Past its provider's time, and no longer there. */
  gone: number
  /** Not stored, for another reason; the archive tries again by itself. */
  failed: number
  waiting: number
  deletedHere: number
  bytes: number
}

export interface Trouble {
  trackId: string
  sourceId: string
  place: number
  title: string | null
  outcome: 'partly' | 'gone' | 'failed'
  error: string
  nextTry: Date | null
}

const LISTED_TITLE = 100
/** Seed 002's average sizes. */
const AVERAGE_BYTES = { audio: 6_000_000, cover: 400_000, video: 25_000_000 }
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** What lies in the team's own store comes last, but is not put off for ever. */
const OWN_KEEPS_MS = 30 * DAY_MS
/** Expired rows sort behind all others, the latest first: it is the likeliest to be there still. */
const BEHIND = 1e15
/** A track whose last run of tries has failed; the archive's `fail` writes it so. */
const ENDED = '(a.last_error is not null and a.tries = 0)'

/**
 * Brings a team's existing tracks into `tracks`, where the archive's triggers take them up. A source is read whole
 * first (`stage`), so that the most urgent rows go first whatever its order. Nothing but this object knows how far it
 * is: what has been moved is archived by the workers in any case, and the next import of the same source finds it.
 */
export function createImport({ session, schema, allowHosts }: ImportDeps) {
  const query = session.query.bind(session)
  const clocks = new Map<string, number>()

  async function prepare(): Promise<{ now: number }> {
    const { rows: [ready] } = await query<{ ready: boolean }>(`select to_regclass('reprise.archivals') is not null and to_regclass($1) is not null as ready`, [`"${schema}".tracks`])
    if (!ready!.ready) throw new CommandRefused('Reprise has not been started on this database yet, or not in this version: start it once, then import.')
    await query(`create temp table if not exists import_rows (
        id uuid primary key, place bigint not null, source_id text not null, title text, host text not null, state text not null, archived boolean not null,
        urgency double precision not null, expires_at timestamptz not null, expired boolean not null, cover boolean not null, video boolean not null, track jsonb);
      truncate import_rows`)
    const { rows: [time] } = await query<{ now: Date }>('select reprise.now() as now')
    return { now: time!.now.getTime() }
  }

  /** How long each host keeps its files; asked once for each. Milliseconds. */
  async function learnHosts(candidates: Candidate[]): Promise<void> {
    const unknown = new Set(candidates.flatMap(({ urls }) => Object.values(urls)).filter((url) => url !== null).map(hostOf).filter((host) => !clocks.has(host)))
    if (unknown.size === 0) return
    if (clocks.size > 50_000) clocks.clear()
    const { rows } = await query<{ host: string; ms: number }>(
      `select host, (extract(epoch from reprise.retention_of('https://' || host)) * 1000)::float8 as ms from unnest($1::text[]) as h (host)`, [[...unknown]])
    for (const { host, ms } of rows) clocks.set(host, ms)
  }

  /** When the first of its files goes. Without a date it may be any moment. */
  function expiryOf({ urls, own, createdAt }: Candidate, now: number): number {
    const ends = ROLES.filter((role) => urls[role]).map((role) =>
      own[role] ? now + OWN_KEEPS_MS : createdAt === null ? now + HOUR_MS : createdAt + clocks.get(hostOf(urls[role]!))!)
    return Math.min(...ends)
  }

  return {
    /** Reads the whole source and sets every row beside what is here. Writes nothing that outlives the session. */
    async stage(source: Source, options: StageOptions, onProgress: OnProgress = () => {}, signal?: AbortSignal): Promise<Tally> {
      const { now } = await prepare()
      const chosen = chooseColumns(source.columns, options.map, { userGiven: options.user !== null })
      const read = createReader({ fields: [...chosen.keys()], sourceName: options.sourceName, user: options.user, now, allowHosts })
      const tally = new Tally()
      for await (const { rows, done, of } of source.read([...chosen.values()])) {
        signal?.throwIfAborted()
        const candidates = new Map<string, Candidate>()
        for (const row of rows) {
          tally.read++
          const candidate = read(row)
          if ('kind' in candidate) tally.refuse(candidate)
          else if (candidates.has(candidate.id)) tally.refuse(twice(candidate))
          else candidates.set(candidate.id, candidate)
        }
        await put([...candidates.values()], options, now, tally)
        onProgress(done, of)
      }
      await query('create index on import_rows (urgency, id) where track is not null')
      await query('analyze import_rows')
      return tally
    },

    async plan(): Promise<Plan> {
      const wanted = `state in ('new', 'moved', 'there') and not archived`
      const urgent = `not expired and expires_at < reprise.now() + interval '2 days'`
      const { rows: [counts] } = await query<Record<string, number>>(
        `select count(*) filter (where state = 'new') as new, count(*) filter (where state = 'there' and archived) as "alreadyArchived",
           count(*) filter (where state = 'there' and not archived) as "underWay", count(*) filter (where state = 'moved') as moved,
           count(*) filter (where state = 'kept') as kept, count(*) filter (where state = 'deleted') as "deletedHere",
           count(*) filter (where ${wanted} and expired) as expired, count(*) filter (where ${wanted} and ${urgent}) as urgent,
           count(*) filter (where ${wanted}) as audio, count(*) filter (where ${wanted} and cover) as covers, count(*) filter (where ${wanted} and video) as videos
         from import_rows`)
      const { rows: hosts } = await query<Plan['hosts'][number]>(
        `select host, count(*) as tracks, count(*) filter (where expired) as expired, count(*) filter (where ${urgent}) as urgent,
           min(expires_at) filter (where not expired) as "firstExpiry" from import_rows where ${wanted} group by host order by 2 desc, host limit 50`)
      const { rows: mostUrgent } = await query<Plan['mostUrgent'][number]>(
        `select title, source_id as "sourceId", host, expires_at as "expiresAt" from import_rows where ${wanted} and ${urgent} order by expires_at, id limit 10`)
      const { audio, covers, videos, ...rest } = counts!
      const bytes = { audio: audio! * AVERAGE_BYTES.audio, covers: covers! * AVERAGE_BYTES.cover, videos: videos! * AVERAGE_BYTES.video }
      return {
        ...(rest as unknown as Plan), mostUrgent, bytes: { ...bytes, total: bytes.audio + bytes.covers + bytes.videos },
        hosts: hosts.map((one) => ({ ...one, keepsDays: clocks.has(one.host) ? clocks.get(one.host)! / DAY_MS : null })),
      }
    },

    /** Moves the staged rows into `tracks`, the most urgent first, a batch a statement. Answers how many came. */
    async move(onProgress: OnProgress = () => {}, signal?: AbortSignal, batch = BATCH): Promise<number> {
      const { rows: [total] } = await query<{ count: number }>('select count(*) from import_rows where track is not null')
      let after: [number, string] = [-1e300, '00000000-0000-0000-0000-000000000000']
      let moved = 0
      for (let done = 0; done < total!.count && !signal?.aborted; ) {
        const { rows: [page] } = await query<{ rows: number; moved: number; urgency: number; id: string }>(moveStatement(schema), [...after, batch])
        if (page!.rows === 0) break
        after = [page!.urgency, page!.id]
        moved += page!.moved
        onProgress((done += page!.rows), total!.count)
      }
      return moved
    },

    /** Asks anew for those whose tries have ended without success. Answers how many. */
    async retry(): Promise<number> {
      const { rowCount } = await query(
        `insert into "${schema}".track_archiving_jobs (track_id, user_id, metadata) select a.track_id, a.user_id, '{"cause": "import"}'
         from import_rows i join reprise.archivals a on a.track_id = i.id where ${ENDED}`)
      return rowCount
    },

    /** How many tracks have not come to an end yet: neither archived nor given up for today. */
    async open(): Promise<number> {
      const { rows: [row] } = await query<{ open: number }>(`select count(*) as open from reprise.archivals a join import_rows i on i.id = a.track_id where not ${ENDED}`)
      return row!.open
    },

    /** Whether any process is there that archives. */
    async hasWorker(): Promise<boolean> {
      const { rows: [row] } = await query<{ alive: boolean }>(
        `select exists (select from reprise.nodes where role <> 'api' and round_at > reprise.now() - interval '30 seconds') as alive`)
      return row!.alive
    },

    async outcome(): Promise<Outcome> {
      const { rows: [row] } = await query<Outcome>(
        `select count(*) filter (where outcome = 'archived' and not was_archived) as archived, count(*) filter (where outcome = 'archived' and was_archived) as "alreadyArchived",
           count(*) filter (where outcome = 'partly') as partly, count(*) filter (where outcome = 'gone') as gone, count(*) filter (where outcome = 'failed') as failed,
           count(*) filter (where outcome = 'waiting') as waiting, count(*) filter (where outcome = 'deleted') as "deletedHere",
           coalesce(sum(bytes) filter (where outcome = 'archived' and not was_archived), 0)::float8 as bytes from (${outcomes(schema)}) o`)
      return row!
    },

    /** The first of those that did not get (all) their files, most urgent first. */
    async troubles(limit: number): Promise<Trouble[]> {
      const { rows } = await query<Trouble>(
        `select id as "trackId", source_id as "sourceId", place, title, outcome, error, case when next_at < 'infinity' then next_at end as "nextTry"
         from (${outcomes(schema)}) o where outcome in ('partly', 'gone', 'failed') order by urgency, id limit $1`, [limit])
      return rows
    },
  }

  async function put(candidates: Candidate[], { planOnly, skipExpired }: StageOptions, now: number, tally: Tally): Promise<void> {
    await learnHosts(candidates)
    const byId = new Map<string, Candidate>()
    const given = candidates.flatMap((candidate) => {
      const { id, place, sourceId, urls, own, track, createdAt } = candidate
      const expires = expiryOf(candidate, now)
      const expired = expires <= now
      if (expired && skipExpired) {
        tally.refuse({ kind: 'skipped', place, id: sourceId, reason: 'its provider has deleted it by now' })
        return []
      }
      byId.set(id, candidate)
      const imported = { id: sourceId, created_at: createdAt, ...Object.fromEntries(ROLES.map((role) => [`${role}_url`, urls[role]])) }
      const { provider_url, ...columns } = track
      return [{
        id, place, source_id: sourceId, user_id: track.user_id, title: track.title?.slice(0, LISTED_TITLE) ?? null, host: hostOf(urls.audio!), urgency: expired ? BEHIND - expires : expires,
        expires_at: new Date(expires).toISOString(), expired, cover: urls.cover !== null, video: urls.video !== null, imported, same_id: isUuid(sourceId),
        // The bulk of a row, of no use to a plan.
        track: planOnly ? null : {
          ...columns, ...Object.fromEntries(ROLES.map((role) => [`${role}_url`, urls[role]])),
          metadata: { imported, ...(own.audio ? { provider_url } : {}) },
        },
      }]
    })
    if (given.length === 0) return
    const { rows } = await query<{ id: string; state: string; put: boolean }>(stageStatement(schema), [jsonForDatabase(given)])
    for (const { id, state, put } of rows) {
      const candidate = byId.get(id)!
      const refuse = (reason: string) => tally.refuse({ kind: 'bad', place: candidate.place, id: candidate.sourceId, reason })
      if (state === 'foreign') refuse("somebody else's track has this id here")
      else if (state === 'other') refuse('another track was imported under this id before: give each source a name of its own with --source')
      else if (!put) tally.refuse(twice(candidate))
      else candidate.notes.forEach((note) => tally.note(note))
    }
  }
}

const hostOf = (url: string): string => new URL(url).hostname
const twice = ({ place, sourceId }: Candidate): Refusal => ({ kind: 'skipped', place, id: sourceId, reason: 'its id came before in this source' })

/** Sets a batch ($1) beside the tracks of the same ids, and keeps those that can be taken. */
const stageStatement = (schema: string) => `
  with given as materialized (
    select g.* from jsonb_to_recordset($1) as g (id uuid, place bigint, source_id text, user_id uuid, title text, host text, urgency double precision, expires_at timestamptz,
      expired boolean, cover boolean, video boolean, imported jsonb, same_id boolean, track jsonb)
  ), judged as materialized (
    select g.*, coalesce(t.archived_to_storage, false) as archived, case
      when t.id is null then 'new'
      when t.user_id <> g.user_id then 'foreign'
      when t.deleted_at is not null then 'deleted'
      when before.it is null or not (c.audio or c.cover or c.video) then 'there'
      -- A number may mean different tracks in different tables.
      when c.audio and not g.same_id and before.it ->> 'created_at' is distinct from g.imported ->> 'created_at' then 'other'
      when (c.audio and t.storage_audio_url is null) or (c.cover and t.storage_cover_url is null) or (c.video and t.storage_video_url is null) then 'moved'
      else 'kept' end as state
    from given g left join "${schema}".tracks t on t.id = g.id
    cross join lateral (select t.metadata -> 'imported' as it) before
    cross join lateral (select
      g.imported ->> 'audio_url' <> coalesce(before.it ->> 'audio_url', '') as audio,
      coalesce(g.imported ->> 'cover_url' <> coalesce(before.it ->> 'cover_url', ''), false) as cover,
      coalesce(g.imported ->> 'video_url' <> coalesce(before.it ->> 'video_url', ''), false) as video) c
  ), put as (
    insert into import_rows (id, place, source_id, title, host, state, archived, urgency, expires_at, expired, cover, video, track)
    select id, place, source_id, title, host, state, archived, urgency, expires_at, expired, cover, video,
      case when state in ('new', 'moved') then track end
    from judged where state not in ('foreign', 'other') on conflict (id) do nothing returning id
  )
  select j.id, j.state, p.id is not null as put from judged j left join put p on p.id = j.id`

/** The next $3 rows behind ($1, $2); the triggers of \`tracks\` put them into the archive's queue. */
const moveStatement = (schema: string) => `
  with page as materialized (
    select i.id, i.urgency, i.state, i.expires_at, i.track from import_rows i
    where i.track is not null and (i.urgency, i.id) > ($1::double precision, $2::uuid) order by i.urgency, i.id limit $3
  ), rows as materialized (
    select p.id, p.state, p.expires_at, r.* from page p cross join lateral jsonb_to_record(p.track) as r (user_id uuid, title text, prompt text, lyrics text, style_tags text[],
      provider text, model text, duration int, duration_ms int, created_at timestamptz, audio_url text, cover_url text, video_url text, metadata jsonb)
  ), came as (
    insert into "${schema}".tracks (id, user_id, title, prompt, lyrics, style_tags, provider, model, status, audio_url, cover_url, video_url, duration, duration_ms, metadata,
      expires_at, created_at, updated_at)
    select id, user_id, title, prompt, lyrics, style_tags, provider, model, 'completed', audio_url, cover_url, video_url, duration, duration_ms, metadata,
      expires_at, coalesce(created_at, reprise.now()), reprise.now()
    from rows where state = 'new' on conflict (id) do nothing returning 1
  ), went as (
    update "${schema}".tracks t set
      audio_url = case when t.storage_audio_url is null then r.audio_url else t.audio_url end,
      cover_url = case when t.storage_cover_url is null then coalesce(r.cover_url, t.cover_url) else t.cover_url end,
      video_url = case when t.storage_video_url is null then coalesce(r.video_url, t.video_url) else t.video_url end,
      metadata = t.metadata || r.metadata, updated_at = reprise.now()
    from rows r where r.state = 'moved' and t.id = r.id and t.deleted_at is null returning 1
  )
  select (select count(*) from page) as rows, (select count(*) from came) + (select count(*) from went) as moved,
    (select urgency from page order by urgency desc, id desc limit 1) as urgency, (select id from page order by urgency desc, id desc limit 1) as id`

/** How each staged track stands now. */
const outcomes = (schema: string) => `
  select i.id, i.source_id, i.place, i.title, i.urgency, i.archived as was_archived, a.last_error as error, a.next_at, t.bytes, case
    when t.id is null then 'waiting'
    when t.deleted_at is not null then 'deleted'
    when t.archived_to_storage then 'archived'
    when a.track_id is null or not ${ENDED} then 'waiting'
    when t.storage_audio_url is not null then 'partly'
    when a.expires_at <= reprise.now() and a.last_error ~ '^audio: (not_found|forbidden|gone|not_media|http_error):' then 'gone'
    else 'failed' end as outcome
  from import_rows i left join "${schema}".tracks t on t.id = i.id left join reprise.archivals a on a.track_id = i.id`
