import { useI18n } from '../i18n/i18n.tsx'
import { serverNow } from './api.ts'
import { momentText } from './time.ts'

/** A moment in the reader's words. */
export function Moment({ at, className }: { at: string; className?: string }) {
  const { language } = useI18n()
  return (
    <time dateTime={at} className={className}>
      {momentText(at, language, serverNow())}
    </time>
  )
}
