import { useState, type FormEvent } from 'react'
import { ApiProblem } from '../../app/api.ts'
import { isUnanswered } from '../../app/paid.ts'
import { problemText } from '../../app/problem-text.ts'
import { wholeNumber } from '../../app/whole-number.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button } from '../../ui/button.tsx'
import { Field } from '../../ui/field.tsx'
import { Notice } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/sheet.tsx'
import { useByHand } from './book.ts'

const WAYS = {
  grant: { title: 'wallet.grant', hint: 'wallet.grantHint', submit: 'wallet.grantDo', done: 'wallet.granted', path: '/api/ledger/grants', amount: '100' },
  take: { title: 'book.take', hint: 'book.takeHint', submit: 'book.takeDo', done: 'book.taken', path: '/api/ledger/adjustments', amount: '' },
} as const

/** Tokens by an operator's hand: given, or taken back. */
export function HandForm(props: { self: string; way: keyof typeof WAYS }) {
  const i18n = useI18n()
  const { t } = i18n
  const way = WAYS[props.way]
  const [form, setForm] = useState({ userId: props.self, amount: way.amount as string, reason: '' })
  const [tried, setTried] = useState(false)
  const grant = useByHand(way.path)
  const problem = grant.error instanceof ApiProblem ? grant.error : undefined
  const amount = wholeNumber(form.amount)
  const wrong = {
    userId: form.userId.trim() === '',
    amount: !amount,
    reason: form.reason.trim() === '',
  }
  const mistake = (field: keyof typeof form) =>
    (tried && wrong[field] ? t(field === 'amount' ? 'book.amountWrong' : 'problem.required') : undefined) ?? problem?.fields.find((one) => one.path === field)?.message
  const submit = (event: FormEvent) => {
    event.preventDefault()
    setTried(true)
    if (grant.isPending || wrong.userId || !amount || wrong.reason) return
    grant.mutate(
      { userId: form.userId.trim(), amount, reason: form.reason.trim() },
      { onSuccess: () => (setTried(false), setForm({ ...form, reason: '' })) },
    )
  }
  const input = (field: keyof typeof form, more = {}) => (
    <Field label={t(`wallet.${field === 'userId' ? 'user' : field}`)} error={mistake(field)}>
      {(wire) => (
        <input
          {...wire}
          {...more}
          value={form[field]}
          onChange={(event) => (grant.isPending || grant.reset(), setForm({ ...form, [field]: event.target.value }))}
          className="field"
        />
      )}
    </Field>
  )
  return (
    <Sheet title={t(way.title)} hint={t(way.hint)}>
      <form onSubmit={submit} className="grid gap-3" noValidate>
        {input('userId', { spellCheck: false })}
        {input('amount', { inputMode: 'numeric' })}
        {input('reason')}
        {problem && problem.fields.length === 0 && (
          <Notice tone="danger" live>
            <p>{problemText(problem, i18n)}</p>
            {isUnanswered(problem) && <p className="mt-1 text-soft">{t('wallet.safe')}</p>}
          </Notice>
        )}
        <div className="flex items-center justify-between gap-3">
          <p role="status" className="text-sm text-accent">
            {grant.isSuccess ? t(way.done) : ''}
          </p>
          <Button type="submit" look="primary" aria-disabled={grant.isPending}>
            {t(way.submit)}
          </Button>
        </div>
      </form>
    </Sheet>
  )
}
