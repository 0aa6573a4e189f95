import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { api, requestHeaders, serverAway, signedOut } from './api.ts'
import { recall, remember } from './browser-memory.ts'
import { lookAgainAt, type LookAgain } from './look-again.ts'
import { sseParser } from './sse.ts'
import { useValue, valueStore } from './value-store.ts'

export type LiveState = 'connecting' | 'live' | 'polling'
export const liveState = valueStore<LiveState>('connecting')

const LAST_ID = 'reprise.lastEventId'
/** The server sends a heartbeat well within this; silence for longer means a dead line that nobody closed. */
const SILENCE_MS = 45_000

/**
 * How often to ask anyway. Live: events tell of every change, only the heartbeat of open work needs a look.
 * Polling: every 3 s while something is open.
 */
export function usePollInterval(): (open: boolean) => number | false {
  const live = useValue(liveState) === 'live'
  return (open) => (live ? (open ? 15_000 : false) : open ? 3000 : 15_000)
}

/** Keeps the live connection open while the page is signed in, and pings a server that is away. */
export function useLive(enabled: boolean): void {
  const client = useQueryClient()
  useEffect(() => {
    if (!enabled) return
    const stop = new AbortController()
    void listen(stop.signal, lookAgainAt(client))
    const ping = setInterval(() => {
      if (serverAway.get()) void api('/livez').then(() => client.invalidateQueries(), () => undefined)
    }, 3000)
    return () => {
      stop.abort()
      clearInterval(ping)
    }
  }, [enabled, client])
}

async function listen(signal: AbortSignal, look: LookAgain): Promise<void> {
  const hear = earFor(look)
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      await readStream(signal, hear, () => {
        // What happened before the line was open is read once.
        if (liveState.get() !== 'live') hear.all()
        liveState.set('live')
        failures = 0
      })
    } catch {
      // Whatever broke the line, the answer is the same: poll, and try again.
    }
    if (signal.aborted || signedOut.get()) return
    if (failures > 0) liveState.set('polling')
    await pause(Math.min(1000 * 2 ** failures, 20_000), signal)
  }
}

async function readStream(signal: AbortSignal, hear: Ear, onOpen: () => void): Promise<void> {
  const line = new AbortController()
  const end = () => line.abort()
  signal.addEventListener('abort', end)
  let silence = setTimeout(end, SILENCE_MS)
  try {
    const last = recall(LAST_ID, 'tab')
    const response = await fetch('/api/events', {
      headers: requestHeaders({ accept: 'text/event-stream', ...(last ? { 'last-event-id': last } : {}) }),
      credentials: 'same-origin',
      cache: 'no-store',
      signal: line.signal,
    })
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream')
    // An id that this server cannot read would close the door for good.
    if (response.status === 422) remember(LAST_ID, null, 'tab')
    if (!response.ok || !isStream || !response.body) throw new Error(`no event stream: ${response.status}`)
    onOpen()
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    const feed = sseParser()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      clearTimeout(silence)
      silence = setTimeout(end, SILENCE_MS)
      for (const event of feed(value)) {
        if (event.id) remember(LAST_ID, event.id, 'tab')
        if (event.event === 'reset') hear.all()
        else if (event.event !== 'ready') hear.one(event.data)
      }
    }
  } finally {
    clearTimeout(silence)
    signal.removeEventListener('abort', end)
  }
}

const TOLD = ['generations', 'image-jobs', 'image-job', 'balance', 'tracks', 'ledger']

type Ear = ReturnType<typeof earFor>

/** Looks again at what an event is about; a burst of them becomes one look. */
function earFor(look: LookAgain) {
  const heard = new Set<string>()
  let flush: ReturnType<typeof setTimeout> | undefined
  return {
    all: () => {
      for (const key of [...TOLD, 'generation', 'notices']) void look([key])
    },
    one: (data: string) => {
      const message = parseEvent(data)
      if (!message) return
      if (message.type === 'notice') return void look(['notices'])
      if (message.generationId) heard.add(message.generationId)
      flush ??= setTimeout(() => {
        flush = undefined
        for (const id of heard) void look(['generation', id])
        heard.clear()
        for (const key of TOLD) void look([key])
      }, 120)
    },
  }
}

function parseEvent(data: string): { type?: string; generationId?: string } | undefined {
  try {
    return JSON.parse(data) as { type?: string; generationId?: string }
  } catch {
    return undefined
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true })
  })
}
