import { isUuid, stableUuid } from '../../kernel/ids.ts'
import { userIdOf } from '../../http-kit/authentication.ts'
import type { Field } from './columns.ts'
import type { RawRow } from './source.ts'

export const ROLES = ['audio', 'cover', 'video'] as const
export type Role = (typeof ROLES)[number]

/** A track as it will stand in `tracks`; names are its columns. */
export interface Candidate {
  place: number
  sourceId: string
  id: string
  /** Where each file is fetched from: the team's own copy, else the provider's. */
  urls: Record<Role, string | null>
  /** Files that lie in the team's own store, where nothing expires. */
  own: Record<Role, boolean>
  /** Milliseconds since the epoch; null when the source does not say. */
  createdAt: number | null
  track: {
    user_id: string
    title: string | null
    prompt: string | null
    lyrics: string | null
    style_tags: string[] | null
    provider: string | null
    model: string | null
    duration: number | null
    duration_ms: number | null
    created_at: string | null
    provider_url: string | null
  }
  /** What was left out of this row, and why. */
  notes: string[]
}

/** `bad`: the row cannot be taken. `skipped`: it is not meant to be. */
export interface Refusal {
  kind: 'bad' | 'skipped'
  place: number
  id: string | null
  reason: string
  /** The value at fault, shortened. */
  value?: string
}

export interface ReaderOptions {
  fields: Field[]
  /** Keeps equal ids of different sources apart; null: the same id is the same track wherever it comes from. */
  sourceName: string | null
  /** Owner of every track; null: each row says. */
  user: string | null
  now: number
  /** Hosts from which files may come by plain http. */
  allowHosts: string[]
}

const DONE = new Set(['completed', 'complete', 'success', 'succeeded', 'done', 'ready', 'finished'])
const LONGEST_URL = 8_192
const LONGEST_ID = 1_000
const DAY_MS = 86_400_000

/** Makes tracks of rows whose values are in the order of `fields`. */
export function createReader({ fields, sourceName, user, now, allowHosts }: ReaderOptions) {
  const indexes = new Map(fields.map((field, index) => [field, index]))
  const allowed = new Set(allowHosts.map((host) => host.toLowerCase()))

  return function read({ place, values }: RawRow): Candidate | Refusal {
    const refuse = (kind: Refusal['kind'], id: string | null, reason: string, value?: string): Refusal =>
      ({ kind, place, id, reason, ...(value === undefined ? {} : { value: value.slice(0, 60) }) })
    if (!Array.isArray(values)) return refuse('bad', null, values.unreadable)
    // A NUL is nothing that PostgreSQL can keep.
    const get = (field: Field): string | null => values[indexes.get(field) ?? -1]?.replaceAll('\0', '').trim() || null
    const given = get('id')
    if (get('deleted_at')) return refuse('skipped', given, 'deleted by the team')
    const status = get('status')
    if (status && !DONE.has(status.toLowerCase())) return refuse('skipped', given, `its status is ${status.slice(0, 30)}`)

    const owner = user ?? get('user_id')
    if (!owner) return refuse('bad', given, 'no owner')
    const source = get('audio_url')
    const audio = get('storage_audio_url') ?? source
    if (!audio) return refuse('bad', given, 'no address of its audio')
    const fault = whyNotFetchable(audio, allowed)
    if (fault) return refuse('bad', given, `the address of its audio ${fault}`, withoutSecrets(audio))
    const sourceId = given ?? audio
    if (given && given.length > LONGEST_ID) return refuse('bad', null, 'its id is too long', given)

    const date = get('created_at')
    const made = date ? parseDate(date) : null
    if (date && !made) return refuse('bad', given, 'its date cannot be read; write it like 2026-11-21T10:00:00Z', date)
    if (made && made.ms > now + DAY_MS) return refuse('bad', given, 'its date is in the future', date!)

    const notes: string[] = []
    const urls: Candidate['urls'] = { audio, cover: null, video: null }
    for (const role of ['cover', 'video'] as const) {
      const url = get(`storage_${role}_url`) ?? get(`${role}_url`)
      const wrong = url && whyNotFetchable(url, allowed)
      if (wrong) notes.push(`without its ${role}, whose address ${wrong}`)
      else urls[role] = url
    }
    const own = (role: Role) => urls[role] !== null && urls[role] === get(`storage_${role}_url`)
    const durationMs = parseDuration(get('duration_ms'), 'ms') ?? parseDuration(get('duration'), null)
    return {
      place, sourceId, id: isUuid(sourceId) ? sourceId.toLowerCase() : stableUuid(`import:${sourceName ?? ''}:${sourceId}`), urls,
      own: { audio: own('audio'), cover: own('cover'), video: own('video') },
      createdAt: made?.ms ?? null, notes,
      track: {
        user_id: userIdOf(owner), title: get('title'), prompt: get('prompt'), lyrics: get('lyrics'), style_tags: parseTags(get('style_tags')),
        provider: get('provider') ?? providerOf(source ?? audio), model: get('model'),
        duration: durationMs === null ? null : Math.round(durationMs / 1000), duration_ms: durationMs,
        created_at: made?.text ?? null, provider_url: source,
      },
    }
  }
}

function whyNotFetchable(text: string, allowed: Set<string>): string | null {
  if (text.length > LONGEST_URL || !URL.canParse(text)) return 'is not an address'
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return `begins with ${url.protocol.slice(0, 20)}`
  if (url.username || url.password) return 'holds a password'
  if (url.protocol === 'http:' && !allowed.has(url.host) && !allowed.has(url.hostname)) return 'is not https'
  return null
}

/** Addresses may carry keys: only what comes before the query is shown. */
const withoutSecrets = (url: string): string => url.replace(/^([a-z]+:\/\/)[^/@]*@/i, '$1').split(/[?#]/, 1)[0]!

const PROVIDERS: [RegExp, string][] = [
  [/(^|\.)(suno\.(ai|com)|sunoapi\.org|aiquickdraw\.com|erweima\.ai|redpandaai\.co)$/, 'suno'],
  [/(^|\.)mureka\.ai$/, 'mureka'],
  [/(^|\.)replicate\.(delivery|com)$/, 'replicate'],
]
const providerOf = (url: string): string | null => PROVIDERS.find(([host]) => host.test(new URL(url, 'https://nowhere').hostname))?.[1] ?? null

/** The moment, also exactly as PostgreSQL is to keep it: ISO 8601, day.month.year, or a number of seconds or more since 1970. */
export function parseDate(text: string): { ms: number; text: string } | null {
  if (/^\d{9,}(\.\d+)?$/.test(text)) {
    const number = Number(text)
    const ms = Math.round(number >= 1e14 ? number / 1000 : number >= 1e11 ? number : number * 1000)
    return Number.isNaN(new Date(ms).getTime()) ? null : { ms, text: new Date(ms).toISOString() }
  }
  const dotted = /^(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[ T,]+(.+))?$/.exec(text)
  const iso = dotted ? `${dotted[3]}-${dotted[2]!.padStart(2, '0')}-${dotted[1]!.padStart(2, '0')}${dotted[4] ? ` ${dotted[4]}` : ''}` : text
  const parts = /^(\d{4}-\d{2}-\d{2})(?:[ T]+(\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?) ?(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?$/i.exec(iso)
  if (!parts) return null
  const [, day, time = '00:00', zone = 'Z'] = parts
  const offset = /^[+-]/.test(zone) ? `${zone.slice(0, 3)}:${zone.slice(3).replace(':', '') || '00'}` : 'Z'
  const exact = `${day}T${time.padStart(time.indexOf(':') === 1 ? time.length + 1 : 0, '0').replace(',', '.')}${offset}`
  const ms = Date.parse(exact)
  // 31 February is no day, though Date would make one of it.
  const real = new Date(`${day}T00:00Z`)
  return Number.isNaN(ms) || Number.isNaN(real.getTime()) || real.toISOString().slice(0, 10) !== day ? null : { ms, text: exact }
}

/** From so many on a number without a unit is milliseconds: no song lasts an hour, and none 3.6 seconds. */
const MS_FROM = 3_600
const LONGEST_MS = 24 * 3_600_000

/** Milliseconds. `3:25` and `1:02:03` are understood too; what is not is left out, for the archive measures anyway. */
export function parseDuration(text: string | null, unit: 'ms' | null): number | null {
  if (!text) return null
  const clock = /^(?:(\d+):)?(\d{1,2}):(\d{2}(?:\.\d+)?)$/.exec(text)
  const number = Number(text.replace(/ ?(s|sec|seconds)$/, '').replace(',', '.'))
  const ms = clock ? (Number(clock[1] ?? 0) * 3600 + Number(clock[2]) * 60 + Number(clock[3])) * 1000 : unit === 'ms' || number >= MS_FROM ? number : number * 1000
  return ms > 0 && ms <= LONGEST_MS ? Math.round(ms) : null
}

/** `a, b`, PostgreSQL's `{a,"b c"}` or JSON's `["a"]`. */
function parseTags(text: string | null): string[] | null {
  const tags = text?.replace(/^[{[]|[}\]]$/g, '').split(',').map((tag) => tag.trim().replace(/^"|"$/g, '').trim()).filter(Boolean) ?? []
  return tags.length > 0 ? tags : null
}
