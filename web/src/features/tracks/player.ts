import { bearer, requestHeaders } from '../../app/api.ts'
import { recall, remember } from '../../app/browser-memory.ts'
import { valueStore } from '../../app/value-store.ts'
import { mediaErrorName, type MediaErrorName } from './media-error.ts'
import { getTrack } from './tracks.ts'

/** Something that can be heard. `trackId` is there when a fresh link can be asked for. */
export interface Playable {
  id: string
  title: string
  subtitle?: string
  src: string
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
  error: MediaErrorName | null
}

const KEPT = 'reprise.player'
const start: PlayerState = { now: null, queue: [], playing: false, waiting: false, error: null }

export const player = valueStore<PlayerState>(start)
/** Apart from the rest, since it changes several times a second. */
export const playhead = valueStore({ time: 0, duration: 0 })
export const volume = valueStore(Number(recall('reprise.volume') ?? 1))

const positions = new Map<string, number>()
let element: HTMLAudioElement | undefined
let borrowed: string | undefined

/** The page's one audio element: only one thing can ever play. */
export function audio(): HTMLAudioElement {
  if (element) return element
  const made = new Audio()
  made.preload = 'metadata'
  made.volume = volume.get()
  const patch = (part: Partial<PlayerState>) => player.set({ ...player.get(), ...part })
  made.addEventListener('playing', () => patch({ playing: true, waiting: false, error: null }))
  made.addEventListener('pause', () => {
    patch({ playing: false })
    keepPosition()
  })
  made.addEventListener('waiting', () => patch({ waiting: true }))
  made.addEventListener('canplay', () => patch({ waiting: false }))
  made.addEventListener('ended', () => {
    positions.delete(player.get().now?.id ?? '')
    step(1)
  })
  made.addEventListener('error', () => {
    if (!made.getAttribute('src')) return
    void recover(mediaErrorName(made.error?.code))
  })
  const tell = () => {
    const known = Number.isFinite(made.duration) && made.duration > 0
    const duration = known ? made.duration : (player.get().now?.durationMs ?? 0) / 1000
    playhead.set({ time: made.currentTime, duration })
    const now = player.get().now
    if (now && made.currentTime > 0) positions.set(now.id, made.currentTime)
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
  const same = player.get().now?.id === what.id && player.get().error === null
  player.set({ ...player.get(), now: what, queue, error: null, waiting: !same })
  if (!same) {
    load(what.src, positions.get(what.id) ?? 0)
    playhead.set({ time: positions.get(what.id) ?? 0, duration: (what.durationMs ?? 0) / 1000 })
    retried = false
    announce(what)
  }
  void sound.play().catch(() => undefined)
}

export function toggle(): void {
  const { now, queue, playing } = player.get()
  if (playing) audio().pause()
  else if (now) play(now, queue)
}

export function seek(seconds: number): void {
  const { duration } = playhead.get()
  audio().currentTime = Math.min(Math.max(0, seconds), duration || seconds)
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
  player.set(start)
  remember(KEPT, null)
}

/** Asks for a fresh link where there is one, and goes on at the same second. */
export async function retry(): Promise<void> {
  const { now, queue } = player.get()
  if (!now) return
  player.set({ ...player.get(), error: null, waiting: true })
  const fresh = now.trackId ? await getTrack(now.trackId).catch(() => undefined) : undefined
  if (player.get().now?.id !== now.id) return
  const again = fresh?.audioUrl ? { ...now, src: fresh.audioUrl } : now
  player.set({ ...player.get(), now: again, queue: queue.map((one) => (one.id === now.id ? again : one)) })
  load(again.src, positions.get(now.id) ?? 0)
  await audio().play().catch(() => undefined)
}

/** Takes up after a reload what was being heard, paused at the same second. */
export function restorePlayer(): void {
  try {
    const kept = JSON.parse(recall(KEPT) ?? 'null') as { now: Playable; queue: Playable[]; time: number } | null
    if (!kept) return
    positions.set(kept.now.id, kept.time)
    audio()
    player.set({ ...start, now: kept.now, queue: kept.queue })
    load(kept.now.src, kept.time)
    playhead.set({ time: kept.time, duration: (kept.now.durationMs ?? 0) / 1000 })
  } catch {
    remember(KEPT, null)
  }
}

let retried = false

/** A lapsed link is the usual reason: one silent retry with a fresh one, then the listener is told. */
async function recover(error: MediaErrorName): Promise<void> {
  const { now, playing, waiting } = player.get()
  if (now?.trackId && !retried && (playing || waiting)) {
    retried = true
    return retry()
  }
  player.set({ ...player.get(), error, playing: false, waiting: false })
}

function load(src: string, at: number): void {
  const sound = audio()
  if (borrowed) URL.revokeObjectURL(borrowed)
  borrowed = undefined
  const needsToken = bearer() !== null && new URL(src, location.href).pathname.startsWith('/api/')
  if (needsToken) void borrow(src, at)
  else point(sound, src, at)
}

/** An audio element cannot send a token: then the file is fetched with it and played from memory. */
async function borrow(src: string, at: number): Promise<void> {
  const asked = player.get().now?.id
  try {
    const response = await fetch(src, { headers: requestHeaders() })
    if (!response.ok) throw new Error(String(response.status))
    const url = URL.createObjectURL(await response.blob())
    if (player.get().now?.id !== asked) return URL.revokeObjectURL(url)
    borrowed = url
    point(audio(), url, at)
    if (player.get().waiting) await audio().play()
  } catch {
    player.set({ ...player.get(), error: 'MEDIA_ERR_NETWORK', waiting: false, playing: false })
  }
}

function point(sound: HTMLAudioElement, src: string, at: number): void {
  sound.src = src
  if (at > 0) sound.addEventListener('loadedmetadata', () => (sound.currentTime = at), { once: true })
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
