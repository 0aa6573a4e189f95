import { ImagePlus, LoaderCircle, RotateCw, X } from 'lucide-react'
import { useId, useState, type DragEvent } from 'react'
import { bytesText } from '../../app/time.ts'
import { useI18n, type I18n } from '../../i18n/i18n.tsx'
import type { Picture } from './draft.ts'
import { MOST_MB, TYPES, type Refusal } from './picture-files.ts'
import { mayUploadAgain, uploadProblem } from './problem.ts'

/** Pictures to be chosen by a drop, a click or the keyboard, each with its preview and, where it was not taken, why. */
export function PictureField(props: {
  id: string
  label: string
  hint: string
  choose: string
  most: number
  pictures: Picture[]
  refused: Refusal[]
  error?: string
  aside?: string
  onAdd: (files: File[]) => void
  onRemove: (key: string) => void
  onRetry: (picture: Picture) => void
}) {
  const i18n = useI18n()
  const { t } = i18n
  const id = useId()
  const [over, setOver] = useState(false)
  const room = props.most - props.pictures.length
  const drag = (event: DragEvent, inside: boolean) => {
    if (!event.dataTransfer.types.includes('Files')) return
    event.preventDefault()
    setOver(inside)
  }
  const drop = (event: DragEvent) => {
    drag(event, false)
    if (event.dataTransfer.files.length > 0) props.onAdd([...event.dataTransfer.files])
  }
  const problems = [
    ...props.refused.map((one) => refusalText(one, i18n)),
    ...props.pictures.filter(({ state }) => state === 'failed').map((picture) => uploadProblem(picture.problem, i18n, picture.name, MOST_MB)),
    // A picture that says itself why it was not taken says enough.
    ...(props.error && !props.pictures.some(({ state }) => state === 'failed') ? [props.error] : []),
  ]
  return (
    <div role="group" aria-labelledby={`${id}-label`} data-pictures={props.id}>
      <div className="mb-1.5 flex items-baseline justify-between gap-3">
        <p id={`${id}-label`} className="text-sm font-medium">
          {props.label}
        </p>
        {props.aside && <span className="shrink-0 text-xs text-soft">{props.aside}</span>}
      </div>
      <div
        onDragEnter={(event) => drag(event, true)}
        onDragOver={(event) => drag(event, true)}
        onDragLeave={(event) => event.currentTarget.contains(event.relatedTarget as Node | null) || setOver(false)}
        onDrop={drop}
        className={`grid grid-cols-3 gap-2 rounded-xl ${over ? 'outline-2 outline-offset-4 outline-accent outline-dashed' : ''}`}
      >
        {props.pictures.map((picture) => (
          <Preview key={picture.key} picture={picture} onRemove={props.onRemove} onRetry={props.onRetry} />
        ))}
        {room > 0 && (
          <label
            className={
              'flex min-h-24 cursor-pointer flex-col items-center justify-center gap-1 rounded-xl border border-dashed p-2 text-center text-xs ' +
              'has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent ' +
              (props.pictures.length === 0 ? 'col-span-3 ' : 'aspect-square ') +
              (props.error ? 'border-danger ' : 'border-edge ') +
              (over ? 'bg-wash text-accent' : 'text-soft hover:bg-sunken hover:text-ink')
            }
          >
            <input
              type="file"
              className="sr-only"
              accept={TYPES.join(',')}
              multiple={props.most > 1}
              aria-invalid={props.error ? true : undefined}
              aria-describedby={`${id}-hint${problems.length ? ` ${id}-error` : ''}`}
              onChange={(event) => {
                props.onAdd([...(event.target.files ?? [])])
                // The same file may be chosen again after it was removed.
                event.target.value = ''
              }}
            />
            <ImagePlus size={20} aria-hidden />
            {over ? t('images.drop') : props.choose}
          </label>
        )}
      </div>
      <div id={`${id}-error`} role="alert">
        {problems.map((text) => (
          <p key={text} className="mt-1 text-sm text-danger">
            {text}
          </p>
        ))}
      </div>
      <p id={`${id}-hint`} className="mt-1 text-xs text-soft">
        {props.hint}
      </p>
    </div>
  )
}

function Preview(props: { picture: Picture; onRemove: (key: string) => void; onRetry: (picture: Picture) => void }) {
  const { t } = useI18n()
  const { picture } = props
  // What was restored an hour later is seen by the address that needs the cookie.
  const sources = [picture.preview, picture.previewUrl, picture.url].filter((url) => url !== undefined)
  const [broken, setBroken] = useState(0)
  const source = sources[broken]
  const small = 'absolute inline-flex size-8 pointer-coarse:size-11 items-center justify-center rounded-full bg-sheet/90 text-ink shadow-lift hover:bg-sheet'
  return (
    <figure className={`relative aspect-square overflow-hidden rounded-xl border bg-sunken ${picture.state === 'failed' ? 'border-danger' : 'border-line'}`}>
      {source ? (
        <img
          src={source}
          alt={picture.name}
          onError={() => setBroken(broken + 1)}
          className={`size-full object-cover ${picture.state === 'ready' ? '' : 'opacity-45'}`}
        />
      ) : (
        <figcaption className="flex size-full items-center justify-center p-2 text-center text-xs text-soft">{picture.name}</figcaption>
      )}
      {picture.state === 'uploading' && (
        <span role="status" className="absolute inset-0 flex items-center justify-center">
          <LoaderCircle size={24} className="animate-spin text-accent" aria-hidden />
          <span className="sr-only">{t('images.uploading')}</span>
        </span>
      )}
      {picture.state === 'failed' && picture.file && mayUploadAgain(picture.problem) && (
        <button type="button" aria-label={t('images.uploadAgain', { name: picture.name })} title={t('action.retry')} onClick={() => props.onRetry(picture)} className={`${small} bottom-1.5 left-1.5`}>
          <RotateCw size={16} aria-hidden />
        </button>
      )}
      <button type="button" aria-label={t('images.remove', { name: picture.name })} title={t('images.remove', { name: picture.name })} onClick={() => props.onRemove(picture.key)} className={`${small} top-1.5 right-1.5`}>
        <X size={16} aria-hidden />
      </button>
    </figure>
  )
}

function refusalText(refusal: Refusal, { t, language }: I18n): string {
  if (refusal.rule === 'tooMany') return t('images.tooMany', { names: refusal.names.join(', ') })
  const { name, bytes } = refusal
  if (refusal.rule === 'tooLarge') return t('images.tooLarge', { name, size: bytesText(bytes, language), mb: MOST_MB })
  return t(refusal.rule === 'emptyFile' ? 'images.emptyFile' : 'images.wrongType', { name })
}
