import { CircleAlert, Info, TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'

const TONES = {
  info: { look: 'bg-wash text-ink', mark: <Info className="text-accent" size={18} aria-hidden /> },
  warn: { look: 'bg-warn-wash text-ink', mark: <TriangleAlert className="text-warn" size={18} aria-hidden /> },
  danger: { look: 'bg-danger-wash text-ink', mark: <CircleAlert className="text-danger" size={18} aria-hidden /> },
}

/** A sentence that must be seen, with what can be done about it. */
export function Notice(props: { tone: keyof typeof TONES; live?: boolean; children: ReactNode; className?: string }) {
  const tone = TONES[props.tone]
  return (
    <div
      role={props.live ? (props.tone === 'danger' ? 'alert' : 'status') : undefined}
      className={`flex gap-2.5 rounded-xl px-3.5 py-3 text-sm ${tone.look} ${props.className ?? ''}`}
    >
      <span className="mt-px shrink-0">{tone.mark}</span>
      <div className="min-w-0 flex-1">{props.children}</div>
    </div>
  )
}
