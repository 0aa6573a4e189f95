import { Link } from '@tanstack/react-router'
import { Download, LoaderCircle, Pause, Play, SkipBack, SkipForward, Volume2, VolumeX, X } from 'lucide-react'
import { lazy, Suspense, useEffect, useState } from 'react'
import { clockText } from '../../app/time.ts'
import { theme } from '../../app/theme.ts'
import { useValue } from '../../app/value-store.ts'
import { useI18n, type I18n } from '../../i18n/i18n.tsx'
import { IconButton } from '../../ui/button.tsx'
import { Cover } from '../../ui/cover.tsx'
import {
  audio,
  closePlayer,
  player,
  playhead,
  seek,
  seekBy,
  setVolume,
  step,
  toggle,
  volume,
  type Playable,
  type PlayerState,
} from './player.ts'
import { PlayerTrouble } from './player-trouble.tsx'
import { fileName } from './track-row.tsx'

const Waveform = lazy(() => import('./waveform.tsx'))

/** The one player, always in the same place. Space plays and pauses, the arrows move by five seconds. */
export function PlayerBar() {
  const { t } = useI18n()
  const state = useValue(player)
  const { now, queue } = state
  usePlayerKeys(now !== null)
  if (!now) return null
  const at = queue.findIndex((one) => one.id === now.id)
  return (
    <section
      aria-label={t('player.label')}
      className="border-t border-line bg-sheet/95 shadow-[0_-8px_30px_-20px_rgb(0_0_0/0.4)] backdrop-blur"
    >
      <div className={`mx-auto flex max-w-6xl flex-wrap items-center gap-x-3 gap-y-1 px-3 py-2 sm:px-5 ${state.error ? '' : 'sm:flex-nowrap'}`}>
        <Cover seed={now.id} src={now.coverUrl} className="size-11 rounded-lg" />
        <div className={`min-w-0 flex-1 ${state.error ? '' : 'sm:w-44 sm:flex-none'}`}>
          <Title what={now} />
          <Times about={about(state, t) ?? now.subtitle} />
        </div>
        <div className="flex items-center">
          <IconButton label={t('player.previous')} disabled={at <= 0} onClick={() => step(-1)} className="max-sm:hidden">
            <SkipBack size={18} aria-hidden />
          </IconButton>
          <button
            type="button"
            aria-label={t(state.playing ? 'player.pause' : 'player.play')}
            onClick={toggle}
            className="mx-1 inline-flex size-10 pointer-coarse:size-11 items-center justify-center rounded-full bg-accent text-on-accent hover:brightness-110"
          >
            {state.waiting && !state.error ? (
              <LoaderCircle size={18} className="animate-spin" aria-hidden />
            ) : state.playing ? (
              <Pause size={18} fill="currentColor" aria-hidden />
            ) : (
              <Play size={18} fill="currentColor" className="ml-0.5" aria-hidden />
            )}
          </button>
          <IconButton label={t('player.next')} disabled={at < 0 || at >= queue.length - 1} onClick={() => step(1)}>
            <SkipForward size={18} aria-hidden />
          </IconButton>
        </div>
        {state.error ? (
          <PlayerTrouble what={now} error={state.error} />
        ) : (
          <Seeker src={state.src ?? ''} />
        )}
        <div className="hidden items-center md:flex">
          <Volume />
        </div>
        <a
          href={now.downloadUrl ?? now.sources[0]}
          download={fileName({}, now.title)}
          aria-label={t('track.download', { title: now.title })}
          title={t('action.download')}
          className={
            'order-last size-9 pointer-coarse:size-11 shrink-0 items-center justify-center rounded-lg text-soft hover:bg-sunken ' +
            `hover:text-ink sm:order-none sm:inline-flex ${state.error ? 'hidden' : 'inline-flex'}`
          }
        >
          <Download size={18} aria-hidden />
        </a>
        <IconButton label={t('player.close')} onClick={closePlayer} className="sm:-mr-2">
          <X size={18} aria-hidden />
        </IconButton>
      </div>
    </section>
  )
}

/** What is being done about a song that does not play, or that it comes from the provider. */
function about({ now, src, rescuing, error }: PlayerState, t: I18n['t']): string | undefined {
  if (error) return undefined
  if (rescuing) return t(`player.rescuing.${rescuing}`)
  return now?.trackId && src !== null && !(now.stored && src === now.sources[0]) ? t('player.fromProvider') : undefined
}

/** The song, and which of its variants. */
function Title(props: { what: Playable }) {
  const look = 'block truncate text-sm leading-6 font-medium'
  if (!props.what.generationId) return <p className={look}>{props.what.title}</p>
  return (
    <Link to="/generations/$id" params={{ id: props.what.generationId }} className={`${look} hover:underline`}>
      {props.what.title}
    </Link>
  )
}

function Times(props: { about?: string }) {
  const head = useValue(playhead)
  return (
    <p className="num truncate text-xs text-soft">
      {props.about && `${props.about} · `}
      {clockText(head.time * 1000)} / {clockText(head.duration * 1000)}
    </p>
  )
}

function Seeker(props: { src: string }) {
  const { t } = useI18n()
  const head = useValue(playhead)
  const look = useValue(theme)
  const part = head.duration > 0 ? head.time / head.duration : 0
  const time = clockText(head.time * 1000)
  return (
    <div
      className={
        'relative order-last h-8 min-w-0 basis-[calc(100%-3rem)] rounded-md has-focus-visible:outline-2 ' +
        'has-focus-visible:outline-offset-2 has-focus-visible:outline-accent sm:order-none sm:flex-1 sm:basis-auto'
      }
    >
      <div className="absolute inset-x-0 top-1/2 h-px bg-edge" />
      <div className="absolute left-0 top-1/2 h-px bg-accent" style={{ width: `${part * 100}%` }} />
      <Suspense fallback={null}>
        <Loaded src={props.src} look={look} />
      </Suspense>
      <input
        type="range"
        aria-label={t('player.seek')}
        aria-valuetext={t('player.position', { time, total: clockText(head.duration * 1000) })}
        min={0}
        max={Math.max(head.duration, 0.1)}
        step={0.1}
        value={head.time}
        onChange={(event) => seek(Number(event.target.value))}
        onKeyDown={(event) => {
          // A tenth of a second per key press helps nobody: the arrows move by five seconds here too.
          const by = { ArrowLeft: -5, ArrowRight: 5 }[event.key]
          if (by === undefined) return
          event.preventDefault()
          seekBy(by)
        }}
        className="absolute inset-0 z-10 h-full w-full cursor-pointer opacity-0"
      />
    </div>
  )
}

/** The waveform waits until the sound itself has begun to load: hearing comes before seeing. */
function Loaded(props: { src: string; look: string }) {
  const [ready, setReady] = useState('')
  useEffect(() => {
    const sound = audio()
    const mark = () => setReady(sound.src)
    if (sound.readyState >= 1 && sound.src) mark()
    sound.addEventListener('loadedmetadata', mark)
    return () => sound.removeEventListener('loadedmetadata', mark)
  }, [props.src])
  // A preview still lies at the provider, whose files may be played here but not read.
  const readable = ready !== '' && new URL(ready, location.href).origin === location.origin
  return readable ? <Waveform key={`${ready} ${props.look}`} src={ready} /> : null
}

function Volume() {
  const { t } = useI18n()
  const loud = useValue(volume)
  return (
    <>
      <IconButton label={t(loud === 0 ? 'player.unmute' : 'player.mute')} onClick={() => setVolume(loud === 0 ? 1 : 0)}>
        {loud === 0 ? <VolumeX size={18} aria-hidden /> : <Volume2 size={18} aria-hidden />}
      </IconButton>
      <input
        type="range"
        aria-label={t('player.volume')}
        min={0}
        max={1}
        step={0.05}
        value={loud}
        onChange={(event) => setVolume(Number(event.target.value))}
        className="h-6 w-20 accent-accent"
      />
    </>
  )
}

/** Keys for the whole page, except where they already mean something. */
function usePlayerKeys(enabled: boolean): void {
  useEffect(() => {
    if (!enabled) return
    const press = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return
      if (target.closest('input, textarea, select, button, a, summary, dialog, [contenteditable]')) return
      if (event.key === ' ') toggle()
      else if (event.key === 'ArrowRight') seekBy(5)
      else if (event.key === 'ArrowLeft') seekBy(-5)
      else return
      event.preventDefault()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [enabled])
}
