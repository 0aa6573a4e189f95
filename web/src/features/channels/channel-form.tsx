import { useState, type FormEvent } from 'react'
import { ApiProblem } from '../../app/api.ts'
import { problemText } from '../../app/problem-text.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import type { Key } from '../../i18n/en.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Field } from '../../ui/field.tsx'
import { Notice } from '../../ui/notice.tsx'
import { bodyOf, draftOf, LANGUAGES, type ChannelDraft, type NumberField } from './channel-draft.ts'
import { useSaveChannel, type Channel } from './channels.ts'

const PLATFORMS = { youtube: 'YouTube', tiktok: 'TikTok', instagram: 'Instagram' } as const
const PACE: [NumberField, Key][] = [
  ['segmentDelayMs', 'channels.segmentDelay'],
  ['maxParallelSegments', 'channels.parallel'],
  ['maxRetries', 'channels.retries'],
  ['retryDelayMs', 'channels.retryDelay'],
]

export function ChannelForm(props: { channel: Channel | undefined; onClose: () => void }) {
  const i18n = useI18n()
  const { t, language } = i18n
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone
  const [draft, setDraft] = useState(() => draftOf(props.channel, language, here))
  const [tried, setTried] = useState(false)
  const save = useSaveChannel(props.channel?.id)
  const change = (part: Partial<ChannelDraft>) => setDraft((before) => ({ ...before, ...part }))
  const problem = save.error instanceof ApiProblem ? save.error : undefined
  const told = (name: string) => problem?.fields.find((one) => one.path === name || one.path.endsWith(`.${name}`))?.message
  const zones = [...new Set([draft.timezone, here, 'UTC', ...Intl.supportedValuesOf('timeZone')])]

  const submit = (event: FormEvent) => {
    event.preventDefault()
    setTried(true)
    if (draft.name.trim() === '' || save.isPending) return
    save.mutate(bodyOf(draft, props.channel), { onSuccess: props.onClose })
  }
  const number = (name: NumberField, label: Key) => (
    <Field key={name} label={t(label)} error={told(name)}>
      {(wire) => (
        <input
          {...wire}
          inputMode="numeric"
          value={draft.numbers[name]}
          onChange={(event) => change({ numbers: { ...draft.numbers, [name]: event.target.value.replace(/[^\d]/g, '') } })}
          className="field num"
        />
      )}
    </Field>
  )

  return (
    <Dialog wide title={t(props.channel ? 'channels.edit' : 'channels.new')} onClose={props.onClose}>
      <form onSubmit={submit} noValidate className="mt-4 grid gap-4">
        <Field label={t('channels.name')} error={told('name') ?? (tried && !draft.name.trim() ? t('problem.required') : undefined)}>
          {(wire) => (
            <input {...wire} autoFocus value={draft.name} onChange={(event) => change({ name: event.target.value })} className="field" />
          )}
        </Field>
        <Field label={t('channels.prompt')} hint={t('channels.promptHint')} error={told('sunoPrompt')}>
          {(wire) => (
            <textarea
              {...wire}
              rows={3}
              value={draft.sunoPrompt}
              onChange={(event) => change({ sunoPrompt: event.target.value })}
              className="field resize-y"
            />
          )}
        </Field>
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label={t('channels.language')} error={told('language')}>
            {(wire) => (
              <select {...wire} value={draft.language} onChange={(event) => change({ language: event.target.value })} className="field">
                {Object.entries({ [draft.language]: draft.language, ...LANGUAGES }).map(([code, name]) => (
                  <option key={code} value={code} lang={code}>
                    {name}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Field label={t('channels.timezone')} error={told('timezone')}>
            {(wire) => (
              <select {...wire} value={draft.timezone} onChange={(event) => change({ timezone: event.target.value })} className="field">
                {zones.map((zone) => (
                  <option key={zone}>{zone}</option>
                ))}
              </select>
            )}
          </Field>
          <Field label={t('channels.tags')} aside={t('channels.tagsHint')} error={told('styleTags')}>
            {(wire) => (
              <input {...wire} value={draft.styleTags} onChange={(event) => change({ styleTags: event.target.value })} className="field" />
            )}
          </Field>
          <Field label={t('channels.mode')} error={told('promptVariantMode')}>
            {(wire) => (
              <select
                {...wire}
                value={draft.promptVariantMode}
                onChange={(event) => change({ promptVariantMode: event.target.value as ChannelDraft['promptVariantMode'] })}
                className="field"
              >
                {(['cyclic', 'random', 'fixed'] as const).map((mode) => (
                  <option key={mode} value={mode}>
                    {t(`channels.mode.${mode}`)}
                  </option>
                ))}
              </select>
            )}
          </Field>
        </div>
        <Field label={t('channels.variants')} aside={t('channels.variantsHint')} error={told('promptVariants')}>
          {(wire) => (
            <textarea
              {...wire}
              rows={3}
              value={draft.promptVariants}
              onChange={(event) => change({ promptVariants: event.target.value })}
              className="field resize-y"
            />
          )}
        </Field>
        <div className="grid grid-cols-2 gap-4">
          {number('targetDurationSec', 'channels.target')}
          {number('clipSec', 'channels.clip')}
        </div>
        <fieldset>
          <legend className="mb-1 text-sm font-medium">{t('channels.platforms')}</legend>
          <div className="flex flex-wrap gap-x-5 gap-y-1">
            {(Object.keys(PLATFORMS) as (keyof typeof PLATFORMS)[]).map((name) => (
              <Check
                key={name}
                label={PLATFORMS[name]}
                checked={draft.platforms[name]}
                onChange={(on) => change({ platforms: { ...draft.platforms, [name]: on } })}
              />
            ))}
          </div>
        </fieldset>
        <details>
          <summary className="inline-flex min-h-8 items-center text-sm text-soft hover:text-ink">{t('channels.timing')}</summary>
          <div className="mt-2 grid gap-4 sm:grid-cols-2">{PACE.map(([name, label]) => number(name, label))}</div>
        </details>
        <Check label={t('channels.paused')} checked={draft.paused} onChange={(paused) => change({ paused })} />
        {save.isError && (
          <Notice tone="danger" live>
            {problemText(save.error, i18n)}
          </Notice>
        )}
        <div className="flex justify-end gap-2">
          <Button onClick={props.onClose}>{t('action.cancel')}</Button>
          <Button type="submit" look="primary" aria-disabled={save.isPending}>
            {t('action.save')}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

function Check(props: { label: string; checked: boolean; onChange: (on: boolean) => void }) {
  return (
    <label className="flex min-h-8 items-center gap-2 text-sm">
      <input
        type="checkbox"
        checked={props.checked}
        onChange={(event) => props.onChange(event.target.checked)}
        className="size-5 accent-accent"
      />
      {props.label}
    </label>
  )
}
