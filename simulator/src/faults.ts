import { hash32 } from './random.ts'

/**
 * Every fault that can be asked for, as data: the README table and the check of names are made from it.
 * `submit` faults are decided when the request comes in, `poll` faults when it is asked about, `file` and `cover`
 * faults at each download; `generation` and `callback` faults are fixed when the task is made.
 */
export type Phase = 'submit' | 'generation' | 'callback' | 'poll' | 'file' | 'cover'

export interface FaultDefinition {
  name: string
  phase: Phase
  /** What `=value` means, when the fault takes one. */
  value?: string
  does: string
}

const codes: [number, string][] = [
  [400, 'invalid parameters'],
  [401, 'bad key'],
  [403, 'country or region not supported'],
  [404, 'wrong method or path'],
  [405, 'rate limit exceeded'],
  [409, 'record already exists'],
  [413, 'prompt too long'],
  [429, 'insufficient credits (not a rate limit)'],
  [430, 'calling too often'],
  [455, 'maintenance'],
  [500, 'server error'],
  [504, 'time is up (Google only)'],
]

export const faultTable: readonly FaultDefinition[] = [
  { name: 'submit-drop', phase: 'submit', does: 'makes the task, then drops the connection without an answer' },
  { name: 'submit-drop-before', phase: 'submit', does: 'drops the connection, makes no task' },
  { name: 'submit-timeout', phase: 'submit', does: 'makes the task, then never answers' },
  { name: 'submit-slow', phase: 'submit', value: 'ms (3000)', does: 'makes the task, answers late' },
  { name: 'malformed-json', phase: 'submit', does: 'makes the task, answers JSON that is cut off' },
  { name: 'code-200-no-taskid', phase: 'submit', does: 'makes the task, answers code 200 without a task id' },
  { name: 'http-500', phase: 'submit', value: '`created` makes the task', does: 'HTTP 500 with a JSON body' },
  { name: 'http-503', phase: 'submit', value: '`created` makes the task', does: 'HTTP 503 with an empty body' },
  { name: 'html-502', phase: 'submit', value: '`created` makes the task', does: 'HTTP 502 with an HTML page' },
  ...codes.map(([code, meaning]) => ({
    name: `code-${code}`,
    phase: 'submit' as const,
    does: `Suno: HTTP 200 with body code ${code}; Mureka, Replicate, Google: the HTTP status of the same meaning: ${meaning}; no task`,
  })),

  { name: 'sensitive', phase: 'generation', does: 'ends in SENSITIVE_WORD_ERROR; Google: finishReason SAFETY' },
  { name: 'create-failed', phase: 'generation', does: 'ends in CREATE_TASK_FAILED' },
  { name: 'audio-failed', phase: 'generation', does: 'ends in GENERATE_AUDIO_FAILED' },
  { name: 'partial-then-fail', phase: 'generation', does: 'first song ready, then GENERATE_AUDIO_FAILED' },
  { name: 'timed-out', phase: 'generation', does: 'Mureka: ends in `timeouted`; Replicate: in `aborted`' },
  { name: 'cancelled', phase: 'generation', does: 'Mureka: ends in `cancelled`; Replicate: in `canceled`' },
  { name: 'data-removed', phase: 'generation', does: 'Replicate: succeeds, but output and file are removed already' },
  { name: 'output-list', phase: 'generation', does: 'Replicate: the output is a list with one address' },
  { name: 'output-text', phase: 'generation', does: 'Replicate: the output is text' },
  { name: 'output-wav', phase: 'generation', does: 'Replicate: the file is WAV whatever was asked for' },
  { name: 'blocked', phase: 'generation', value: 'reason (PROHIBITED_CONTENT)', does: 'Google: HTTP 200 with `promptFeedback.blockReason` and no candidates' },
  { name: 'finish-reason', phase: 'generation', value: 'reason (IMAGE_SAFETY)', does: 'Google: HTTP 200 with a candidate that ended so, without a picture' },
  { name: 'no-image', phase: 'generation', does: 'Google: HTTP 200 with words and no picture' },
  { name: 'bad-picture', phase: 'generation', does: 'Google: bytes that are no picture, called image/png' },
  { name: 'model-gone', phase: 'generation', does: 'Google: HTTP 404, as for a model that was shut down' },
  { name: 'no-refund', phase: 'generation', does: 'a failure keeps the 12 credits' },
  { name: 'one-song', phase: 'generation', does: 'SUCCESS with the first song only' },
  { name: 'sunodata-null', phase: 'generation', does: 'SUCCESS with `sunoData` (Mureka: `choices`) null' },
  { name: 'sunodata-empty', phase: 'generation', does: 'SUCCESS with `sunoData` (Mureka: `choices`) empty' },
  { name: 'no-audio-url', phase: 'generation', does: 'SUCCESS without an audio URL (`@n` for one song)' },
  {
    name: 'unknown-status',
    phase: 'generation',
    value: 'the status',
    does: 'an unheard-of status until the songs are final (see `late`)',
  },
  { name: 'extra-fields', phase: 'generation', does: 'unknown fields at every level of the answers' },
  { name: 'snake-case', phase: 'generation', does: 'record-info in the snake_case variant (`response.data`)' },
  { name: 'never-finishes', phase: 'generation', does: 'never gets beyond TEXT_SUCCESS' },
  {
    name: 'late',
    phase: 'generation',
    value: 'seconds, not scaled by the speed',
    does: 'the last stage comes that much later',
  },
  { name: 'id-change', phase: 'generation', does: 'audio ids before the final stage differ from the final ones' },
  {
    name: 'file-url-decimal',
    phase: 'generation',
    does: 'audio URL with the host as one number (http://2130706433:…)',
  },
  { name: 'file-url-mapped', phase: 'generation', does: 'audio URL with an IPv4-mapped IPv6 host' },
  {
    name: 'file-url-dns',
    phase: 'generation',
    value: 'host name',
    does: 'audio URL with a host name (setting SIMULATOR_DNS_HOST)',
  },

  { name: 'skip-text', phase: 'callback', does: 'no `text` callback' },
  { name: 'skip-first', phase: 'callback', does: 'no `first` callback' },
  { name: 'callback-double', phase: 'callback', does: 'each callback twice' },
  { name: 'callback-reversed', phase: 'callback', does: '`complete` comes before `first` before `text`' },
  { name: 'callback-early', phase: 'callback', does: 'the first callback comes before the answer to the submit' },
  { name: 'callback-never', phase: 'callback', does: 'no callbacks; the status is as usual' },
  { name: 'callback-exception', phase: 'callback', does: 'no callbacks; ends in CALLBACK_EXCEPTION with audio' },
  {
    name: 'callback-delay',
    phase: 'callback',
    value: 'ms, not scaled by the speed',
    does: 'callbacks come that much later',
  },
  {
    name: 'callback-forged',
    phase: 'callback',
    does: 'callbacks carry a wrong token, those of Replicate a wrong signature (the true ones are not sent)',
  },
  { name: 'callback-stale', phase: 'callback', does: 'Replicate: callbacks signed six minutes ago' },
  { name: 'callback-unsigned', phase: 'callback', does: 'Replicate: callbacks without a signature' },
  { name: 'callback-altered', phase: 'callback', does: 'callbacks with altered ids, title, durations and audio URLs' },

  { name: 'poll-http-500', phase: 'poll', does: 'record-info answers HTTP 500' },
  { name: 'poll-html-502', phase: 'poll', does: 'record-info answers HTTP 502 with an HTML page' },
  { name: 'poll-malformed-json', phase: 'poll', does: 'record-info answers JSON that is cut off' },
  { name: 'poll-drop', phase: 'poll', does: 'record-info drops the connection' },
  { name: 'poll-hang', phase: 'poll', does: 'record-info never answers' },
  { name: 'poll-code', phase: 'poll', value: 'body code (500)', does: 'record-info answers that body code' },

  { name: 'file-html', phase: 'file', value: 'content type (text/html)', does: 'an HTML error page with HTTP 200' },
  { name: 'file-truncated', phase: 'file', does: 'full Content-Length, half of the bytes, then the end' },
  { name: 'file-cut', phase: 'file', does: 'half of the file, and Content-Length agrees' },
  { name: 'file-short', phase: 'file', does: 'a sound file of half the duration' },
  { name: 'file-empty', phase: 'file', does: 'HTTP 200 with no bytes' },
  { name: 'file-wrong-type', phase: 'file', does: 'PNG bytes called audio/mpeg' },
  { name: 'file-slow', phase: 'file', value: 'bytes per second (2000)', does: 'drips' },
  { name: 'file-hang', phase: 'file', does: 'a first piece, then silence' },
  { name: 'file-reset', phase: 'file', does: 'half of the file, then the connection is reset' },
  { name: 'file-redirect-private', phase: 'file', value: 'host (127.0.0.1), port 1', does: '302 to a private address' },
  {
    name: 'file-oversize',
    phase: 'file',
    value: '`chunked` leaves Content-Length out',
    does: 'endless bytes, Content-Length 10 GB',
  },
  { name: 'file-404', phase: 'file', does: 'HTTP 404 (with `:n` for the first n downloads)' },
  { name: 'file-503', phase: 'file', does: 'HTTP 503' },
  { name: 'file-gone', phase: 'file', does: 'HTTP 410' },
  { name: 'file-corrupt', phase: 'file', does: 'random bytes behind an MP3 header, right length' },
  { name: 'cover-404', phase: 'cover', does: 'the cover answers HTTP 404' },
  { name: 'cover-html', phase: 'cover', does: 'the cover is an HTML page' },
]

const definitions = new Map(faultTable.map((definition) => [definition.name, definition]))

/** One fault as asked for: `name=value@variant:count`; all but the name optional, `variant` counted from 0. */
export interface Fault {
  name: string
  value?: string
  variant?: number
  count?: number
}

/** A fault set from outside. `match` is looked for in prompt, style and title; `times` is how often it still bites. */
export interface FaultRule extends Fault {
  match?: string
  times?: number
}

const tag = /\[\[fault:([^\]]*)\]\]/g
const spec = /^([a-z0-9-]+)(?:=([^@:]+))?(?:@(\d+))?(?::(\d+))?$/

/** Reads `name=value@variant:count`. Throws a RangeError that names what is wrong. */
export function readFault(text: string): Fault {
  const found = spec.exec(text.trim())
  if (!found || !definitions.has(found[1]!)) throw new RangeError(`unknown fault: ${text}`)
  const [, name, value, variant, count] = found
  return {
    name: name!,
    ...(value !== undefined && { value }),
    ...(variant !== undefined && { variant: Number(variant) }),
    ...(count !== undefined && { count: Number(count) }),
  }
}

export const readTags = (text: string): Fault[] => [...text.matchAll(tag)].map((found) => readFault(found[1]!))
export const stripTags = (text: string): string => text.replace(tag, '').trim()
export const phaseOf = (fault: Fault): Phase => definitions.get(fault.name)!.phase
export const findFault = (faults: readonly Fault[], name: string): Fault | undefined =>
  faults.find((fault) => fault.name === name)

export interface FaultState {
  rules: FaultRule[]
  used: Record<string, number>
}

/** Knows which faults apply now. `changed` is told the whole state after each change, to be kept. */
export interface FaultBook {
  /** The faults of these phases for a new request with this text; uses up counts and rules. */
  collect(text: string, phases: readonly Phase[]): Fault[]
  /** The fault, if any, that bites a poll or download of a task; uses up counts and rules. */
  bite(
    phase: 'poll' | 'file' | 'cover',
    task: { id: string; text: string; faults: Fault[] },
    variant?: number,
  ): Fault | null
  add(rule: FaultRule): void
  clear(): void
  rules(): readonly FaultRule[]
  restore(state: FaultState): void
}

export function createFaultBook(changed: (state: FaultState) => void): FaultBook {
  let rules: FaultRule[] = []
  let used: Record<string, number> = {}
  const keep = () => changed({ rules, used })

  /** Whether a counted fault still has bites left for this key; uncounted ones always bite. */
  const counts = (fault: Fault, key: string) => {
    if (fault.count === undefined) return true
    const times = used[key] ?? 0
    if (times >= fault.count) return false
    used[key] = times + 1
    keep()
    return true
  }
  const useRule = (rule: FaultRule) => {
    if (rule.times === undefined) return
    rule.times--
    rules = rules.filter((other) => (other.times ?? 1) > 0)
    keep()
  }
  const matches = (rule: FaultRule, text: string) => rule.match === undefined || text.includes(rule.match)
  const atDownload = (fault: Fault) => ['poll', 'file', 'cover'].includes(phaseOf(fault))

  return {
    collect(text, phases) {
      const key = hash32(text).toString(16)
      const wanted = (fault: Fault) => phases.includes(phaseOf(fault))
      const tagged = readTags(text)
        .filter(wanted)
        // Polls and downloads count their own bites, later.
        .filter((fault) => atDownload(fault) || counts(fault, `${fault.name}|${key}`))
      const ruled = rules.filter((rule) => wanted(rule) && !atDownload(rule) && matches(rule, text))
      ruled.forEach(useRule)
      return [...tagged, ...ruled.map(({ name, value, variant }) => ({ name, value, variant }))]
    },
    bite(phase, task, variant) {
      const fits = (fault: Fault) =>
        phaseOf(fault) === phase && (fault.variant === undefined || fault.variant === variant)
      const rule = rules.find((candidate) => fits(candidate) && matches(candidate, task.text))
      if (rule) {
        useRule(rule)
        return rule
      }
      const own = (fault: Fault) => counts(fault, `${task.id}|${variant ?? ''}|${fault.name}`)
      return task.faults.find((fault) => fits(fault) && own(fault)) ?? null
    },
    add(rule) {
      rules.push(rule)
      keep()
    },
    clear() {
      rules = []
      used = {}
      keep()
    },
    rules: () => rules,
    restore(state) {
      rules = state.rules
      used = state.used
    },
  }
}
