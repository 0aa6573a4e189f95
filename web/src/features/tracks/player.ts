import { ApiProblem, bearer, requestHeaders } from '../../app/api.ts'
import { recall, remember } from '../../app/browser-memory.ts'
import { onLeave } from '../../app/session.ts'
import { valueStore } from '../../app/value-store.ts'
import { mediaErrorName, type MediaErrorName } from './media-error.ts'
import { afterFailure, afterPlaying, afterReread, startRescue, type Rescue, type Step, type Why } from './rescue.ts'
import { downloadUrl, getTrack, isStored, sourcesOf, type Track } from './tracks.ts'

/** Something that can be heard. `trackId` is there when its track can be read anew. */
export interface Playable {
  id: string
  title: string
  subtitle?: string
  /** Addresses, best first. */
  sources: string[]
  /** Whether the first of them is our own copy. */
  stored: boolean
  downloadUrl?: string
  coverUrl?: string | null
  durationMs?: number | null
  trackId?: string
  /** Where the player's title leads. */
  generationId?: string
}

export interface PlayerState {
  now: Playable | null
  queue: Playable[]
  playing: boolean
  waiting: boolean
  /** The address that is loaded. */
  src: string | null
  /** What is being done about a song that does not play. */
  rescuing: 'provider' | 'reread' | null
  error: { name: MediaErrorName; why?: Why } | null
}

const KEPT = 'reprise.player'
const nothing: PlayerState = { now: null, queue: [], playing: false, waiting: false, src: null, rescuing: null, error: null }

export const player = valueStore<PlayerState>(nothing)
/** Apart from the rest, since it changes several times a second. */
export const playhead = valueStore({ time: 0, duration: 0 })
export const volume = valueStore(Number(recall('reprise.volume') ?? 1))

const positions = new Map<string, number>()
let element: HTMLAudioElement | undefined
let borrowed: string | undefined
let rescue: Rescue = startRescue([])
/** Whether the listener wants to hear it: kept through every rescue. */
let wanted = false
/** The second where the song stopped, until it goes on there. */
let resumeAt = 0
/** Where the file that is loaded began to play. */
let playedFrom: number | null = null
let silence: ReturnType<typeof setTimeout> | undefined

/** A server that takes the request and sends nothing gives no error: after so long it counts as one. */
const SILENCE_MS = 20_000

const patch = (part: Partial<PlayerState>) => player.set({ ...player.get(), ...part })

/** The page's one audio element: only one thing can ever play. */
export function audio(): HTMLAudioElement {
  if (element) return element
  const made = new Audio()
  made.preload = 'metadata'
  made.volume = volume.get()
  made.addEventListener('playing', () => {
    playedFrom ??= made.currentTime
    patch({ playing: true, waiting: false, rescuing: null, error: null })
  })
  made.addEventListener('pause', () => {
    // By the time that this is heard it may be wanted again.
    if (made.paused && !made.ended) wanted = false
    patch({ playing: false })
    keepPosition()
  })
  made.addEventListener('waiting', () => patch({ waiting: true }))
  made.addEventListener('canplay', () => patch({ waiting: false, rescuing: null }))
  made.addEventListener('seeking', () => (playedFrom = null))
  made.addEventListener('seeked', () => (playedFrom = made.paused ? null : made.currentTime))
  made.addEventListener('ended', () => {
    positions.delete(player.get().now?.id ?? '')
    step(1)
  })
  made.addEventListener('error', () => {
    if (made.getAttribute('src')) fail(mediaErrorName(made.error?.code))
  })
  for (const event of ['loadstart', 'progress', 'timeupdate', 'waiting']) made.addEventListener(event, listenForSilence)
  addEventListener('online', () => {
    const { error } = player.get()
    if (error?.why === 'unreachable' || error?.name === 'MEDIA_ERR_NETWORK') void begin()
  })
  // A server that knows no ranges lets nobody jump before the file has come so far.
  const resume = () => {
    const { seekable } = made
    if (resumeAt === 0 || seekable.length === 0 || seekable.end(seekable.length - 1) < resumeAt) return
    made.currentTime = resumeAt
    resumeAt = 0
  }
  for (const event of ['loadedmetadata', 'progress', 'canplaythrough']) made.addEventListener(event, resume)
  const tell = () => {
    const known = Number.isFinite(made.duration) && made.duration > 0
    const duration = known ? made.duration : (player.get().now?.durationMs ?? 0) / 1000
    playhead.set({ time: resumeAt || made.currentTime, duration })
    const now = player.get().now
    if (now && made.currentTime > 0 && resumeAt === 0) positions.set(now.id, made.currentTime)
    if (playedFrom !== null) rescue = afterPlaying(rescue, made.currentTime - playedFrom)
  }
  for (const event of ['timeupdate', 'durationchange', 'seeked', 'loadedmetadata']) made.addEventListener(event, tell)
  addEventListener('pagehide', keepPosition)
  element = made
  mediaSessionKeys()
  return made
}

/** Plays `what`, or goes on where it stopped; `queue` says what next and previous mean. */
export function play(what: Playable, queue: Playable[] = [what]): void {
  const sound = audio()
  const { now, error, src } = player.get()
  wanted = true
  if (now?.id === what.id && error === null && src !== null) {
    patch({ queue })
    return start(sound)
  }
  player.set({ ...nothing, now: what, queue, waiting: true })
  playhead.set({ time: positions.get(what.id) ?? 0, duration: (what.durationMs ?? 0) / 1000 })
  announce(what)
  rescue = startRescue(what.sources)
  load(what.sources[0]!)
}

function start(sound: HTMLAudioElement): void {
  void sound.play().catch((refusal: Error) => {
    // The browser wants a click first: then it stands ready, paused.
    if (refusal.name === 'NotAllowedError') patch({ waiting: false, playing: false })
  })
}

export function toggle(): void {
  const { now, queue, playing } = player.get()
  if (playing) audio().pause()
  else if (now) play(now, queue)
}

export function seek(seconds: number): void {
  const { duration } = playhead.get()
  const time = Math.min(Math.max(0, seconds), duration || seconds)
  resumeAt = 0
  audio().currentTime = time
  // At once: a slider that still says the old second would take the song back there.
  playhead.set({ time, duration })
}

/** Moves by some seconds from where the sound is now, however fast the key is pressed. */
export const seekBy = (seconds: number) => seek(audio().currentTime + seconds)

/** The next (1) or the previous (-1) of the queue; at the end it stops. */
export function step(by: 1 | -1): void {
  const { now, queue } = player.get()
  const next = queue[queue.findIndex((one) => one.id === now?.id) + by]
  if (next) play(next, queue)
}

export function setVolume(value: number): void {
  volume.set(value)
  audio().volume = value
  remember('reprise.volume', String(value))
}

export function closePlayer(): void {
  const sound = audio()
  sound.pause()
  sound.removeAttribute('src')
  sound.load()
  wanted = false
  clearTimeout(silence)
  player.set(nothing)
  remember(KEPT, null)
}

// Whoever comes next does not hear what the one before heard.
onLeave(() => {
  if (player.get().now) closePlayer()
})

/** The listener asks again: the track is read anew and goes on at the same second. */
export async function retry(): Promise<void> {
  wanted = true
  await begin()
}

async function begin(): Promise<void> {
  const { now } = player.get()
  if (!now) return
  rescue = { ...startRescue([]), error: 'MEDIA_ERR_NETWORK', reread: true }
  patch({ error: null, waiting: wanted, rescuing: null })
  if (now.trackId) await reread(now)
  else follow([startRescue(now.sources), { do: 'load', src: now.sources[0]! }])
}

/** The file was put right, or saved with us: what is stuck goes on with it, what plays learns of it. */
export function refresh(track: Track): void {
  const { now, error } = player.get()
  if (now?.trackId !== track.id) return
  // The very address may be in the browser's cache as the damaged file that it was.
  const sources = sourcesOf(track).map((src) => (isStored(track) && src === track.audioUrl ? `${src}${src.includes('?') ? '&' : '?'}again=${Date.now()}` : src))
  replace(now, { sources, stored: isStored(track), downloadUrl: downloadUrl(track) })
  rescue = startRescue(sources)
  if (!error || !sources[0]) return
  patch({ error: null, waiting: wanted })
  load(sources[0])
}

/** Takes up after a reload what was being heard, paused at the same second. */
export function restorePlayer(): void {
  try {
    const kept = JSON.parse(recall(KEPT) ?? 'null') as { now: Playable; queue: Playable[]; time: number } | null
    if (!Array.isArray(kept?.now?.sources)) return
    positions.set(kept.now.id, kept.time)
    audio()
    player.set({ ...nothing, now: kept.now, queue: kept.queue })
    rescue = startRescue(kept.now.sources)
    load(kept.now.sources[0]!)
    playhead.set({ time: kept.time, duration: (kept.now.durationMs ?? 0) / 1000 })
  } catch {
    remember(KEPT, null)
  }
}

/** A way has failed; the next is taken with the same second and, if it was wanted, the sound. */
function fail(said: MediaErrorName): void {
  const { now, src } = player.get()
  if (!now || src === null) return
  follow(afterFailure(rescue, src, said, now.trackId !== undefined))
}

function follow([next, step]: [Rescue, Step]): void {
  rescue = next
  const { now } = player.get()
  if (!now) return
  if (step.do === 'explain') {
    clearTimeout(silence)
    patch({ error: { name: step.error, why: step.why }, playing: false, waiting: false, rescuing: null })
  } else if (step.do === 'reread') {
    patch({ rescuing: 'reread', waiting: wanted })
    void reread(now)
  } else {
    patch({ rescuing: now.stored && step.src !== now.sources[0] ? 'provider' : player.get().rescuing, waiting: wanted })
    load(step.src)
  }
}

async function reread(now: Playable): Promise<void> {
  clearTimeout(silence)
  const found = await getTrack(now.trackId!).catch((problem: unknown): Why =>
    problem instanceof ApiProblem && problem.status === 404 ? 'missing' : 'unreachable')
  if (player.get().now?.id !== now.id) return
  if (typeof found === 'string') return follow(afterReread(rescue, found))
  const sources = sourcesOf(found)
  replace(now, { sources, stored: isStored(found), downloadUrl: downloadUrl(found) })
  follow(afterReread(rescue, sources))
}

function replace(now: Playable, news: Pick<Playable, 'sources' | 'stored' | 'downloadUrl'>): void {
  const again = { ...now, ...news }
  patch({ now: again, queue: player.get().queue.map((one) => (one.id === now.id ? again : one)) })
}

function listenForSilence(): void {
  clearTimeout(silence)
  silence = setTimeout(() => {
    if (wanted && element && element.readyState < 3 && player.get().error === null) fail('MEDIA_ERR_NETWORK')
  }, SILENCE_MS)
}

/** Loads an address at the second where the song stopped, and plays on if that is wanted. */
function load(src: string): void {
  const sound = audio()
  patch({ src })
  playedFrom = null
  if (borrowed) URL.revokeObjectURL(borrowed)
  borrowed = undefined
  const needsToken = bearer() !== null && new URL(src, location.href).pathname.startsWith('/api/')
  if (needsToken) {
    sound.removeAttribute('src')
    sound.load()
    void borrow(src)
  } else point(sound, src)
}

/** An audio element cannot send a token: then the file is fetched with it and played from memory. */
async function borrow(src: string): Promise<void> {
  try {
    const response = await fetch(src, { headers: requestHeaders() })
    if (!response.ok) throw new Error(String(response.status))
    const url = URL.createObjectURL(await response.blob())
    if (player.get().src !== src) return URL.revokeObjectURL(url)
    borrowed = url
    point(audio(), url)
  } catch {
    if (player.get().src === src) fail('MEDIA_ERR_NETWORK')
  }
}

function point(sound: HTMLAudioElement, src: string): void {
  sound.src = src
  resumeAt = positions.get(player.get().now?.id ?? '') ?? 0
  if (wanted) start(sound)
}

function keepPosition(): void {
  const { now, queue } = player.get()
  if (now) remember(KEPT, JSON.stringify({ now, queue, time: positions.get(now.id) ?? 0 }))
}

function announce(what: Playable): void {
  if (!('mediaSession' in navigator)) return
  navigator.mediaSession.metadata = new MediaMetadata({
    title: what.title,
    artist: what.subtitle ?? 'Reprise',
    artwork: what.coverUrl ? [{ src: new URL(what.coverUrl, location.href).href }] : [],
  })
}

function mediaSessionKeys(): void {
  if (!('mediaSession' in navigator)) return
  const on = (action: MediaSessionAction, act: (details: MediaSessionActionDetails) => void) =>
    navigator.mediaSession.setActionHandler(action, act)
  on('play', toggle)
  on('pause', toggle)
  on('nexttrack', () => step(1))
  on('previoustrack', () => step(-1))
  on('seekto', (details) => seek(details.seekTime ?? 0))
}
