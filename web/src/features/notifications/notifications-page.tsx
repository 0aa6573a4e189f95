import { useEffect, useState, type FormEvent } from 'react'
import { Listing } from '../../app/listing.tsx'
import { problemText } from '../../app/problem-text.ts'
import { QueryCard } from '../../app/query-card.tsx'
import { itemsOf } from '../../app/queries.ts'
import { wholeNumber } from '../../app/whole-number.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button } from '../../ui/button.tsx'
import { Empty, Skeleton } from '../../ui/empty.tsx'
import { Field } from '../../ui/field.tsx'
import { Notice } from '../../ui/notice.tsx'
import { NoticeRow } from './notice-row.tsx'
import { KINDS, useAllNotices, useMarkRead, useSaveSettings, useSettings, type Settings } from './notifications.ts'

export function NotificationsPage() {
  const { t } = useI18n()
  return (
    <>
      <h1 id="notices" className="mb-5 text-2xl font-semibold tracking-tight">{t('notices.title')}</h1>
      <div className="grid items-start gap-5 lg:grid-cols-[minmax(0,1fr)_minmax(0,21rem)]">
        <List />
        <SettingsCard />
      </div>
    </>
  )
}

function List() {
  const { t } = useI18n()
  const all = useAllNotices()
  const read = useMarkRead()
  const items = itemsOf(all)
  const unread = all.data?.pages[0]?.unread ?? 0
  return (
    <section className="sheet p-3 sm:p-4" aria-labelledby="notices">
      {items.length > 0 && (
        <div className="mb-1 flex justify-end">
          <Button look="quiet" aria-disabled={read.isPending || unread === 0} onClick={() => !read.isPending && unread > 0 && read.mutate({ all: true })}>
            {t('notices.readAll')}
          </Button>
        </div>
      )}
      <Listing of={all} count={items.length} skeleton={<Skeleton className="h-40" />} empty={<Empty title={t('notices.none')} text={t('notices.noneHint')} />}>
        <ul className="divide-y divide-line">
          {items.map((notice) => (
            <li key={notice.id} className="py-0.5">
              <NoticeRow notice={notice} onFollow={({ id, readAt }) => readAt === null && read.mutate({ ids: [id] })} />
            </li>
          ))}
        </ul>
      </Listing>
    </section>
  )
}

function SettingsCard() {
  const { t } = useI18n()
  return (
    <QueryCard title={t('notices.settings')} of={useSettings()} height="h-52">
      {(settings) => <SettingsForm settings={settings} />}
    </QueryCard>
  )
}

function SettingsForm({ settings }: { settings: Settings }) {
  const i18n = useI18n()
  const { t, language } = i18n
  const save = useSaveSettings()
  const [kinds, setKinds] = useState(settings.kinds)
  const [low, setLow] = useState(String(settings.lowBalance))
  const lowBalance = wholeNumber(low)
  // What another device set is shown, unless somebody is changing it here.
  useEffect(() => {
    setKinds(settings.kinds)
    setLow(String(settings.lowBalance))
  }, [settings.kinds, settings.lowBalance])
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (lowBalance !== null && !save.isPending) save.mutate({ kinds, lowBalance, language })
  }
  return (
    <form onSubmit={submit} noValidate>
      <ul className="grid gap-0.5">
        {KINDS.map((kind) => (
          <li key={kind}>
            <label className="flex min-h-9 pointer-coarse:min-h-11 cursor-pointer items-center gap-3 text-sm">
              <input
                type="checkbox"
                className="size-4 shrink-0 accent-(--accent)"
                checked={kinds[kind]}
                onChange={(event) => (save.reset(), setKinds({ ...kinds, [kind]: event.target.checked }))}
              />
              {t(`notices.${kind}`)}
            </label>
          </li>
        ))}
      </ul>
      <Field
        className="mt-3"
        label={t('notices.lowBalance')}
        hint={t('notices.lowBalanceHint')}
        error={lowBalance === null ? t('notices.lowBalanceWrong') : undefined}
      >
        {(wire) => (
          <input {...wire} inputMode="numeric" value={low} onChange={(event) => (save.reset(), setLow(event.target.value))} className="field num" />
        )}
      </Field>
      <p className="mt-3 text-xs text-soft">{t('notices.languageHint')}</p>
      {save.isError && (
        <Notice tone="danger" live className="mt-3">
          {problemText(save.error, i18n)}
        </Notice>
      )}
      <div className="mt-4 flex items-center justify-between gap-3">
        <p role="status" className="text-sm text-accent">
          {save.isSuccess ? t('notices.saved') : ''}
        </p>
        <Button type="submit" look="primary" aria-disabled={save.isPending || lowBalance === null}>
          {t('action.save')}
        </Button>
      </div>
    </form>
  )
}
