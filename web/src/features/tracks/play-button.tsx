import { Pause, Play } from 'lucide-react'
import { useValue } from '../../app/value-store.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { play, player, toggle, type Playable } from './player.ts'

/** Starts this one, or pauses it when it is what is playing. */
export function PlayButton(props: { what: Playable; queue: Playable[]; className?: string }) {
  const { t } = useI18n()
  const playing = useValue(player, (state) => state.playing && state.now?.id === props.what.id)
  return (
    <button
      type="button"
      aria-label={t(playing ? 'track.pause' : 'track.play', { title: props.what.title })}
      onClick={() => (playing ? toggle() : play(props.what, props.queue))}
      className={
        'inline-flex size-10 pointer-coarse:size-11 shrink-0 items-center justify-center rounded-full bg-accent text-on-accent transition ' +
        `hover:brightness-110 ${props.className ?? ''}`
      }
    >
      {playing ? <Pause size={18} fill="currentColor" aria-hidden /> : <Play size={18} fill="currentColor" className="ml-0.5" aria-hidden />}
    </button>
  )
}
