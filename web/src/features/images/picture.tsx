import { ImageOff } from 'lucide-react'
import { useState } from 'react'
import { serverNow } from '../../app/api.ts'
import { useNow } from '../../app/time.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Skeleton } from '../../ui/empty.tsx'
import type { Card } from './images.ts'
import { awaitsThumbnail, shapeOf } from './progress.ts'

const SMALL_WIDTH = 480
const FULL_WIDTH = 1024

/**
 * A finished picture no larger than its place needs: the small copy, and where `sizes` says how wide it is shown, the
 * whole one for those whose screen has more points. Its place is kept before it comes.
 */
export function Picture(props: { card: Card; ratio: string; alt: string; sizes?: string; fit?: 'cover' | 'contain' }) {
  const { t } = useI18n()
  const { card } = props
  const [broken, setBroken] = useState<string | null>(null)
  const { width, height } = shapeOf(props.ratio)
  const awaits = !props.sizes && awaitsThumbnail(card, serverNow())
  // Looked at again by the second: nothing else says that the waiting is over.
  useNow(awaits)
  if (awaits) return <Skeleton className="size-full rounded-none" />
  const source = card.thumbnailUrl ?? card.imageUrl ?? ''
  if (broken === source) {
    return (
      <span className="flex size-full flex-col items-center justify-center gap-1 p-2 text-center text-xs text-soft">
        <ImageOff size={20} aria-hidden />
        {t('images.broken')}
      </span>
    )
  }
  const both = props.sizes && card.thumbnailUrl && card.imageUrl && card.thumbnailUrl !== card.imageUrl
  return (
    <img
      src={source}
      srcSet={both ? `${card.thumbnailUrl} ${SMALL_WIDTH}w, ${card.imageUrl} ${FULL_WIDTH}w` : undefined}
      sizes={both ? props.sizes : undefined}
      width={width * 100}
      height={height * 100}
      alt={props.alt}
      loading="lazy"
      decoding="async"
      onError={() => setBroken(source)}
      className={`size-full ${props.fit === 'contain' ? 'object-contain' : 'object-cover'}`}
    />
  )
}
