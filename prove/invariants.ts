import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createDiskStore } from '../server/src/storage/disk/disk-store.ts'
import type { Fleet, Song } from './fleet.ts'

interface Judged {
  id: string
  state: string
  missing: number
  errorCode: string | null
  /** Moves that may lead to another POST, each with its reason in the timeline. */
  repeats: number
  results: { index: number; state: string; providerId: string | null; blobKey: string | null; sha256: string | null; storedTimes: number }[]
  tracks: number
  covers: number
  /** Songs that were paid for. */
  paid: number
  /** Whether the last submit went out and nobody knows whether it arrived. */
  unclear: boolean
}

interface Task {
  taskId: string
  prompt: string
  songs: { id: string }[]
}

const READ = `
  select g.id, g.state, g.missing, g.error_code as "errorCode",
    (select count(*) from reprise.events e where e.generation_id = g.id and e.type in ('resubmit', 'retry'))::int as repeats,
    (select coalesce(jsonb_agg(jsonb_build_object('index', r.index, 'state', r.state, 'providerId', r.provider_result_id, 'blobKey', r.blob_key, 'sha256', r.sha256,
        'storedTimes', (select count(*) from reprise.events e where e.generation_id = g.id and e.data->>'resultId' = r.id::text and e.data ? 'sha256'))
        order by r.index), '[]') from reprise.results r where r.generation_id = g.id and r.role = 'final') as results,
    (select count(*) from public.tracks t where t.generation_id = g.id)::int as tracks,
    (select count(*) from public.tracks t where t.generation_id = g.id and t.storage_cover_url is not null)::int as covers,
    (select count(*) from reprise.hold_items h where h.generation_id = g.id and h.state = 'captured')::int as paid,
    coalesce((select a.sent_at is not null and a.task_id is null from reprise.attempts a where a.generation_id = g.id order by a.number desc limit 1), false) as unclear
  from reprise.generations g where g.id = any ($1)`

/**
 * What must hold whatever was killed: each song complete with all its true files, stored once, asked for once, paid
 * once; nothing left half way. Answers every broken promise in a sentence; `repeats` counts POSTs repeated for a reason.
 * `unclear`: songs of a provider that never calls, killed where nobody can know whether it took the request: not asked
 * for again, and every token given back.
 */
export async function judge(fleet: Fleet, songs: Song[]): Promise<{ broken: string[]; repeats: number; unclear: number; swept: number }> {
  const broken: string[] = []
  const tasks = await fleet.control<Task[]>('GET', '/tasks')
  const made = new Map(tasks.flatMap((task) => task.songs.map((song, index) => [song.id, { task, index }] as const)))
  const truths = new Map<string, string>()
  const rows = await fleet.rows<Judged>(READ, [songs.map((song) => song.id)])
  const byId = new Map(rows.map((row) => [row.id, row]))
  let repeats = 0
  let unclear = 0

  for (const song of songs) {
    const row = byId.get(song.id)
    const say = (text: string) => broken.push(`${song.prompt} (${song.id}): ${text}`)
    if (!row) {
      say('is not in the database')
      continue
    }
    const posts = tasks.filter((task) => task.prompt === song.prompt).length
    repeats += Math.max(0, posts - 1)
    if (posts > 1 + row.repeats) say(`${posts} tasks at the provider, ${row.repeats} repeated for a reason`)
    if (song.provider === 'mureka' && row.errorCode === 'submit_unknown' && row.unclear) {
      unclear++
      if (row.paid || row.tracks) say(`not known to be taken, yet ${row.paid} paid and ${row.tracks} tracks`)
      continue
    }
    if (row.state !== 'complete' || row.missing !== 0) say(`ended ${row.state}, missing ${row.missing}, error ${row.errorCode}\n${await fleet.story(song.id)}`)
    if (row.tracks !== song.results) say(`${row.tracks} tracks`)
    if (row.paid !== song.results) say(`${row.paid} songs paid`)
    // A provider's cover may be missing, one of ours may not.
    if (song.provider === 'mureka' && row.covers !== song.results) say(`${row.covers} covers`)
    for (const result of row.results) {
      if (result.state !== 'stored') continue
      if (result.storedTimes !== 1) say(`song ${result.index} was stored ${result.storedTimes} times`)
      const origin = made.get(result.providerId ?? '')
      if (!origin || origin.task.prompt !== song.prompt) {
        say(`song ${result.index} is none that the provider made for it`)
        continue
      }
      const bytes = await readFile(join(fleet.files, result.blobKey!)).catch(() => null)
      if (!bytes) {
        say(`song ${result.index}: no file under ${result.blobKey}`)
        continue
      }
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      const key = `${origin.task.taskId}/${origin.index}`
      if (!truths.has(key)) truths.set(key, (await fleet.control<{ sha256: string }>('GET', `/files/${key}`)).sha256)
      if (sha256 !== truths.get(key) || sha256 !== result.sha256) say(`song ${result.index} is not the provider's file`)
    }
    const songIds = row.results.map((result) => result.providerId).filter((id) => id !== null)
    if (new Set(songIds).size !== songIds.length) say('two results of the same provider song')
  }
  broken.push(...(await money(fleet)), ...(await orphans(fleet)))

  // A worker killed while it writes leaves its draft behind: nobody's file, removed by the sweep.
  const swept = await createDiskStore({ root: fleet.files }).sweepStaging(0)
  const left = await readdir(join(fleet.files, '.staging')).catch(() => [])
  if (left.length) broken.push(`${left.length} files left in staging`)
  return { broken, repeats, unclear, swept }
}

export async function money(fleet: Fleet): Promise<string[]> {
  const violations = await fleet.rows<{ promise: string; generation_id: string }>('select * from reprise.ledger_violations limit 20')
  const wallets = await fleet.rows<{ user_id: string; has: number; granted: number }>(
    `select w.user_id, (w.available + w.held + coalesce(sum(t.amount) filter (where t.kind = 'capture'), 0))::float8 as has,
       coalesce(sum(t.amount) filter (where t.from_account = 'grants'), 0)::float8 as granted
     from reprise.wallets w left join reprise.ledger_transfers t using (user_id) group by w.user_id, w.available, w.held`,
  )
  return [
    ...violations.map((row) => `ledger: ${row.promise} (${row.generation_id})`),
    ...wallets.filter(({ has, granted }) => has !== granted).map((row) => `wallet of ${row.user_id}: available + held + paid is ${row.has}, granted ${row.granted}`),
  ]
}

/** Files under a name that no row knows: nobody would ever find or delete them. */
async function orphans(fleet: Fleet): Promise<string[]> {
  const known = new Set((await fleet.rows<{ key: string }>('select blob_key as key from reprise.results where blob_key is not null')).map((row) => row.key))
  const found: string[] = []
  for await (const { key } of createDiskStore({ root: fleet.files }).list('')) if (!known.has(key)) found.push(`file ${key} belongs to nobody`)
  return found
}
