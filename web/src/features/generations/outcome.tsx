import { Download, RefreshCw, RotateCcw } from 'lucide-react'
import { useNavigate } from '@tanstack/react-router'
import { problemText } from '../../app/problem-text.ts'
import { usePrice, type Priced } from '../../app/queries.ts'
import { useI18n, type I18n } from '../../i18n/i18n.tsx'
import { Button } from '../../ui/button.tsx'
import { Notice } from '../../ui/notice.tsx'
import { useAct, wishesIn, type Act, type Generation } from './generations.ts'
import { retriesFor } from './retries.ts'

/** How an ended generation ended when not everything went well: why, what it cost, and what can be done. */
export function Outcome(props: { generation: Generation }) {
  const i18n = useI18n()
  const { t } = i18n
  const { generation } = props
  if (generation.state === 'complete' && !generation.missing && !generation.arrivedLateAt) return null
  const tone = generation.state === 'failed' ? 'danger' : generation.state === 'timed_out' ? 'warn' : 'info'
  return (
    <Notice tone={tone} className="mt-3">
      <p className="font-medium">
        {generation.state === 'complete' && generation.missing
          ? t('gen.missing', { n: generation.missing })
          : (generation.error?.message ?? (generation.state === 'complete' ? '' : t(`progress.${generation.state}`)))}
      </p>
      {generation.state !== 'complete' && <p className="mt-0.5">{costText(generation, i18n)}</p>}
      {generation.arrivedLateAt && <p className="mt-0.5">{t('gen.arrivedLate')}</p>}
      <Retries generation={generation} />
    </Notice>
  )
}

/** What it cost, by the receipt; without one, by what the end means: nothing stored, nothing charged. */
function costText(generation: Generation, { t, tokens }: I18n): string {
  const { captured = 0, held = 0, released } = generation.receipt ?? {}
  if (held > 0) return t('gen.settling', { amount: tokens(held) })
  if (captured > 0) return t('gen.charged', { charged: tokens(captured), returned: tokens(released ?? 0) })
  const back = released ?? generation.cost
  return back > 0 ? t('gen.notCharged', { amount: tokens(back) }) : t('gen.notChargedPlain')
}

/** The three retries. Two are free; the third says its price first. */
export function Retries(props: { generation: Generation }) {
  const i18n = useI18n()
  const { t, tokens } = i18n
  const { generation } = props
  const act = useAct(generation.id)
  const navigate = useNavigate()
  const { kind, provider } = generation
  const { model, options } = wishesIn(generation)
  const asked: Priced = { kind, provider, model, ...(typeof options?.n === 'number' && { results: options.n }) }
  const { price } = usePrice(asked)
  const run = (what: Act) =>
    act.mutate(
      { act: what, ...(what === 'regenerate' && { offer: { asked, shown: price?.tokens } }) },
      {
        onSuccess: (made) => {
          if (what === 'regenerate' && made?.id) void navigate({ to: '/generations/$id', params: { id: made.id } })
        },
      },
    )
  const kinds = retriesFor(generation)
  // What was begun anew has a page of its own, which may be slow to come: a second click here would be paid, too.
  const busy = act.isPending || (act.isSuccess && act.variables.act === 'regenerate')
  return (
    <div className="mt-3">
      <div className="flex flex-wrap gap-2">
        {kinds.includes('recheck') && (
          <Button title={t('gen.recheckHint')} disabled={busy} onClick={() => run('recheck')}>
            <RefreshCw size={15} aria-hidden />
            {t('gen.recheck')}
          </Button>
        )}
        {kinds.includes('redownload') && (
          <Button title={t('gen.redownloadHint')} disabled={busy} onClick={() => run('redownload')}>
            <Download size={15} aria-hidden />
            {t('gen.redownload')}
          </Button>
        )}
        <Button title={t('gen.regenerateHint')} disabled={busy} onClick={() => run('regenerate')}>
          <RotateCcw size={15} aria-hidden />
          {price ? t('gen.regeneratePrice', { price: tokens(price.tokens) }) : t('gen.regenerate')}
        </Button>
      </div>
      <p role="status" className={`text-sm ${act.isError ? 'mt-2 text-danger' : act.isSuccess ? 'mt-2' : ''}`}>
        {act.isError ? problemText(act.error, i18n) : act.isSuccess ? t(`gen.done.${act.variables.act}`) : ''}
      </p>
    </div>
  )
}
