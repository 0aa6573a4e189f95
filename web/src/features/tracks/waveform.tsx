import { useEffect, useRef } from 'react'
import WaveSurfer from 'wavesurfer.js'
import { playhead } from './player.ts'

/** The shape of what is playing. It only draws: seeking is the range control that lies over it. */
export default function Waveform(props: { src: string }) {
  const room = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (!room.current) return
    const style = getComputedStyle(document.documentElement)
    const drawn = WaveSurfer.create({
      container: room.current,
      // Never the element that plays: wavesurfer gives it the song that it has loaded, though another may play by then.
      url: props.src,
      height: 32,
      barWidth: 2,
      barGap: 1.5,
      barRadius: 2,
      cursorWidth: 0,
      interact: false,
      normalize: true,
      hideScrollbar: true,
      waveColor: style.getPropertyValue('--edge'),
      progressColor: style.getPropertyValue('--accent'),
      cspNonce: document.querySelector<HTMLMetaElement>('meta[property=csp-nonce]')?.nonce,
    })
    // A file that cannot be decoded still plays: the plain line under the waveform stays.
    drawn.on('error', () => undefined)
    const follow = () => drawn.setTime(playhead.get().time)
    drawn.on('ready', follow)
    const leave = playhead.subscribe(follow)
    return () => {
      leave()
      drawn.destroy()
    }
  }, [props.src])
  return <div ref={room} aria-hidden="true" />
}
