import { Link, Navigate, useParams } from '@tanstack/react-router'
import { ChevronRight } from 'lucide-react'
import type { ReactNode } from 'react'
import { LoadFailed } from '../../app/load-failed.tsx'
import { Missing } from '../../app/missing.tsx'
import { Moment } from '../../app/moment.tsx'
import { usePageName } from '../../app/page-name.ts'
import { bytesText } from '../../app/time.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { BackLink } from '../../ui/back-link.tsx'
import { CopyValue } from '../../ui/copy-button.tsx'
import { Skeleton } from '../../ui/empty.tsx'
import { Sheet } from '../../ui/sheet.tsx'
import { eventSentence, plainType, type TimelineEvent, type Tone } from './event-sentence.ts'
import { isOpen, titleOf, useEvents, useGeneration, wishesIn, type Generation } from './generations.ts'
import { Outcome, Retries } from './outcome.tsx'
import { StateBadge } from './state-badge.tsx'
import { Elapsed, UnderWay } from './under-way.tsx'
import { Variants } from './variants.tsx'

/** Everything about one generation: where it stands, who it is, what happened to it and what it cost. */
export function GenerationPage() {
  const { t } = useI18n()
  const { id } = useParams({ strict: false }) as { id: string }
  const asked = useGeneration(id)
  const generation = asked.data
  usePageName(generation && titleOf(generation, t('gen.untitled')))
  // A card is shown with its order.
  if (generation?.imageJobId) return <Navigate to="/images/$id" params={{ id: generation.imageJobId }} replace />
  return (
    <>
      <BackLink to="/">{t('gen.back')}</BackLink>
      {asked.isPending && <Skeleton className="h-64" />}
      <Missing of={asked} />
      {generation && <Whole key={generation.id} generation={generation} />}
    </>
  )
}

function Whole(props: { generation: Generation }) {
  const { t } = useI18n()
  const { generation } = props
  const open = isOpen(generation)
  return (
    <div className="grid items-start gap-5 lg:grid-cols-[minmax(0,1fr)_minmax(0,21rem)]">
      <div className="grid min-w-0 gap-5">
        <section className="sheet p-5">
          <div className="flex items-start justify-between gap-4">
            <h1 className="text-xl leading-snug font-semibold tracking-tight">{titleOf(generation, t('gen.untitled'))}</h1>
            <div className="flex flex-col items-end gap-1 pt-1">
              <StateBadge state={generation.state} />
              <Elapsed generation={generation} />
            </div>
          </div>
          {open && <UnderWay generation={generation} />}
          <Variants generation={generation} />
          {!open && <Outcome generation={generation} />}
          {generation.state === 'complete' && !generation.missing && !generation.arrivedLateAt && <Retries generation={generation} />}
        </section>
        <Timeline generation={generation} />
      </div>
      <div className="grid min-w-0 gap-5">
        <ReceiptPart generation={generation} />
        <Identity generation={generation} />
        <WishesPart generation={generation} />
        <Attempts generation={generation} />
      </div>
    </div>
  )
}

function Rows(props: { rows: [string, ReactNode][] }) {
  return (
    <dl className="grid gap-2 text-sm">
      {props.rows.map(([name, value]) => (
        <div key={name} className="flex flex-wrap items-baseline justify-between gap-x-4">
          <dt className="text-soft">{name}</dt>
          <dd className="num min-w-0">{value}</dd>
        </div>
      ))}
    </dl>
  )
}

function ReceiptPart({ generation }: { generation: Generation }) {
  const { t, tokens } = useI18n()
  const { cost = generation.cost, held, captured, released } = generation.receipt ?? {}
  const amount = (value: number | undefined) => (value === undefined ? '–' : tokens(value))
  return (
    <Sheet title={t('detail.receipt')}>
      <Rows
        rows={[
          [t('detail.cost'), <strong key="cost" className="font-semibold">{tokens(cost)}</strong>],
          [t('detail.held'), amount(held)],
          [t('detail.captured'), amount(captured)],
          [t('detail.released'), amount(released)],
        ]}
      />
    </Sheet>
  )
}

function Identity({ generation }: { generation: Generation }) {
  const wishes = wishesIn(generation)
  const { t } = useI18n()
  const moment = (iso: string | null | undefined) => (iso ? <Moment key="at" at={iso} /> : '–')
  return (
    <Sheet title={t('detail.ids')}>
      <div className="mb-3 grid gap-2 text-sm">
        <div>
          <p className="text-xs text-soft">{t('detail.id')}</p>
          <CopyValue value={generation.id} label={t('detail.id')} />
        </div>
        <div>
          <p className="text-xs text-soft">{t('detail.task')}</p>
          {generation.providerTaskId ? (
            <CopyValue value={generation.providerTaskId} label={t('detail.task')} />
          ) : (
            <p className="text-sm">{t('detail.noTask')}</p>
          )}
        </div>
      </div>
      <Rows
        rows={[
          [t('detail.provider'), generation.provider],
          ...(wishes.model ? [[t('detail.model'), wishes.model] as [string, ReactNode]] : []),
          [t('detail.created'), moment(generation.createdAt)],
          [t('detail.deadline'), moment(generation.deadlineAt)],
          [t('detail.updated'), moment(generation.updatedAt)],
        ]}
      />
      {generation.regeneratedFrom && (
        <p className="mt-3 text-sm">
          <span className="text-soft">{t('detail.from')} </span>
          <Link
            to="/generations/$id"
            params={{ id: generation.regeneratedFrom }}
            className="font-mono text-xs underline underline-offset-2"
          >
            {generation.regeneratedFrom}
          </Link>
        </p>
      )}
    </Sheet>
  )
}

function WishesPart({ generation }: { generation: Generation }) {
  const { t } = useI18n()
  const wishes = wishesIn(generation)
  const lines: [string, string | undefined][] = [
    [t('create.prompt'), wishes.prompt],
    [t('create.style'), wishes.style],
    [t('create.lyrics'), wishes.lyrics],
  ]
  const told = lines.filter(([, text]) => text)
  if (told.length === 0) return null
  return (
    <Sheet title={t('detail.wishes')}>
      <dl className="grid gap-3 text-sm">
        {told.map(([name, text]) => (
          <div key={name}>
            <dt className="text-xs text-soft">{name}</dt>
            <dd className="whitespace-pre-line">{text}</dd>
          </div>
        ))}
      </dl>
      {wishes.instrumental && <p className="mt-3 text-sm">{t('create.instrumental')}</p>}
    </Sheet>
  )
}

function Attempts({ generation }: { generation: Generation }) {
  const { t } = useI18n()
  const attempts = generation.attempts ?? []
  return (
    <Sheet title={t('detail.attempts')}>
      {attempts.length === 0 && <p className="text-sm text-soft">{t('detail.noAttempts')}</p>}
      <ol className="grid gap-3 text-sm">
        {attempts.map((attempt, i) => (
          <li key={i}>
            <p className="flex justify-between gap-3">
              <span>{t('detail.attempt', { n: attempt.number ?? i + 1 })}</span>
              <span className="text-soft">{attempt.state}</span>
            </p>
            {(attempt.sentAt ?? attempt.createdAt) && (
              <Moment at={(attempt.sentAt ?? attempt.createdAt)!} className="num text-xs text-soft" />
            )}
            {attempt.errorCode && <p className="text-danger">{plainType(attempt.errorCode)}</p>}
          </li>
        ))}
      </ol>
    </Sheet>
  )
}

function Timeline({ generation }: { generation: Generation }) {
  const { t } = useI18n()
  const events = useEvents(generation.id, isOpen(generation))
  return (
    <Sheet title={t('detail.timeline')}>
      {events.isPending && <Skeleton className="h-40" />}
      <LoadFailed of={events} />
      {events.data?.length === 0 && <p className="text-sm text-soft">{t('detail.noEvents')}</p>}
      <ol>
        {events.data?.map((event, i) => (
          <Happening key={event.id} event={event} last={i === events.data.length - 1} />
        ))}
      </ol>
    </Sheet>
  )
}

const DOTS: Record<Tone, string> = { good: 'bg-accent', bad: 'bg-danger', plain: 'bg-edge' }

function Happening({ event, last }: { event: TimelineEvent; last: boolean }) {
  const { t, tokens, language } = useI18n()
  const said = eventSentence(event)
  const sentence = said.key ? t(said.key, { amount: tokens(said.tokens) }) : plainType(event.type)
  const time = new Intl.DateTimeFormat(language, { timeStyle: 'medium' }).format(Date.parse(event.at))
  return (
    <li className="relative grid grid-cols-[auto_minmax(0,1fr)] gap-x-3 pb-2.5">
      {!last && <span aria-hidden="true" className="absolute top-3 bottom-[-6px] left-[4.5px] w-px bg-line" />}
      <span aria-hidden="true" className={`relative mt-1.5 size-2.5 rounded-full ${DOTS[said.tone]}`} />
      <details className="group min-w-0">
        <summary
          className={
            '-mx-1.5 flex min-h-6 list-none flex-wrap items-baseline justify-between gap-x-4 rounded-md px-1.5 text-sm ' +
            'hover:bg-sunken [&::-webkit-details-marker]:hidden'
          }
        >
          <span>
            {sentence}
            {said.bytes !== undefined && <span className="text-soft"> · {bytesText(said.bytes, language)}</span>}
          </span>
          <span className="num flex items-center gap-1.5 font-mono text-xs text-soft">
            <time dateTime={event.at}>{time}</time>
            <ChevronRight size={13} aria-hidden className="transition-transform group-open:rotate-90" />
            <span className="sr-only">{t('detail.raw')}</span>
          </span>
        </summary>
        <pre className="my-1.5 overflow-x-auto rounded-lg bg-sunken p-3 font-mono text-xs" tabIndex={0} aria-label={t('detail.raw')}>
          {JSON.stringify(event, null, 2)}
        </pre>
      </details>
    </li>
  )
}
