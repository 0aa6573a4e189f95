import { useNavigate, useSearch } from '@tanstack/react-router'
import { LoaderCircle } from 'lucide-react'
import { useEffect, useRef, useState, type FormEvent, type ReactNode } from 'react'
import { ApiProblem } from '../../app/api.ts'
import { problemText } from '../../app/problem-text.ts'
import { enterWithToken, openSession } from '../../app/session.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button } from '../../ui/button.tsx'
import { Field } from '../../ui/field.tsx'
import { Notice } from '../../ui/notice.tsx'
import { RepeatSign } from '../../ui/repeat-sign.tsx'

/** `/sign-in?token=…` trades the one-time link for a session; without a token it says how to get in. */
export function SignInPage() {
  const { token } = useSearch({ strict: false }) as { token?: string }
  return token ? <OpenLink token={token} /> : <Welcome />
}

function OpenLink(props: { token: string }) {
  const i18n = useI18n()
  const { t } = i18n
  const navigate = useNavigate()
  const [problem, setProblem] = useState<unknown>(null)
  const [turn, setTurn] = useState(0)
  const used = useRef('')
  useEffect(() => {
    // The link works once: a second run of this effect must not spend it again.
    const attempt = `${props.token} ${turn}`
    if (used.current === attempt) return
    used.current = attempt
    setProblem(null)
    openSession(props.token).then(() => navigate({ to: '/', replace: true }), setProblem)
  }, [props.token, turn, navigate])

  if (!problem) {
    return (
      <Door title={t('signin.opening')}>
        <LoaderCircle className="animate-spin text-accent" aria-hidden />
      </Door>
    )
  }
  const status = problem instanceof ApiProblem ? problem.status : 0
  if (status === 410) {
    return (
      <Door title={t('signin.used')} text={t('signin.usedText')}>
        <p className="text-sm">{t('signin.usedDo')}</p>
        <Terminal text={'npm run reprise owner-link'} />
        <Button className="mt-4" onClick={() => void navigate({ to: '/' })}>
          {t('signin.home')}
        </Button>
      </Door>
    )
  }
  if (status >= 400 && status < 500 && status !== 429) {
    return (
      <Door title={t('signin.wrong')} text={t('signin.wrongText')}>
        <p className="text-sm text-soft">{problemText(problem, i18n)}</p>
        <Button className="mt-4" onClick={() => void navigate({ to: '/' })}>
          {t('signin.home')}
        </Button>
      </Door>
    )
  }
  return (
    <Door title={t('signin.title')}>
      <Notice tone="danger" live>
        {problemText(problem, i18n)}
      </Notice>
      <Button look="primary" className="mt-4" onClick={() => setTurn(turn + 1)}>
        {t('action.retry')}
      </Button>
    </Door>
  )
}

/** Shown wherever somebody is not signed in. */
export function Welcome() {
  const i18n = useI18n()
  const { t } = i18n
  const [token, setToken] = useState('')
  const [problem, setProblem] = useState<string>()
  const [busy, setBusy] = useState(false)
  const navigate = useNavigate()
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    const text = token.trim().replace(/^bearer\s+/i, '')
    if (!text) return setProblem(t('problem.required'))
    setBusy(true)
    try {
      await enterWithToken(text)
      if (location.pathname === '/sign-in') await navigate({ to: '/' })
    } catch (cause) {
      const refused = cause instanceof ApiProblem && cause.status >= 400 && cause.status < 500 && cause.status !== 429
      setProblem(refused ? t('signin.refused') : problemText(cause, i18n))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Door title={t('signin.title')} text={t('signin.lead')}>
      <h2 className="text-sm font-semibold">{t('signin.linkTitle')}</h2>
      <p className="mt-1 text-sm text-soft">{t('signin.linkText')}</p>
      <Terminal text={`${location.origin}/sign-in?token=…`} />
      <h2 className="mt-6 text-sm font-semibold">{t('signin.tokenTitle')}</h2>
      <p className="mt-1 mb-3 text-sm text-soft">{t('signin.tokenText')}</p>
      <form onSubmit={(event) => void submit(event)} className="grid gap-3" noValidate>
        <Field label={t('signin.token')} error={problem}>
          {(wire) => (
            <input
              {...wire}
              type="password"
              autoComplete="off"
              spellCheck={false}
              value={token}
              onChange={(event) => {
                setToken(event.target.value)
                setProblem(undefined)
              }}
              className="field font-mono"
            />
          )}
        </Field>
        <Button type="submit" look="primary" aria-disabled={busy} className="min-h-11">
          {t('signin.submit')}
        </Button>
      </form>
    </Door>
  )
}

function Door(props: { title: string; text?: string; children: ReactNode }) {
  return (
    <div className="mx-auto max-w-md py-6 sm:py-14">
      <div className="sheet overflow-hidden">
        <div className="relative px-6 pt-7">
          <div className="staff absolute inset-x-0 top-7 h-[37px]" aria-hidden="true" />
          <div className="relative flex min-h-[37px] items-center justify-between gap-4">
            <h1 className="bg-sheet py-1 pr-3 text-2xl leading-tight font-semibold tracking-tight">{props.title}</h1>
            <RepeatSign className="h-[37px] shrink-0 text-accent" />
          </div>
        </div>
        <div className="p-6">
          {props.text && <p className="mb-5 text-soft">{props.text}</p>}
          {props.children}
        </div>
      </div>
    </div>
  )
}

function Terminal(props: { text: string }) {
  return (
    <pre className="mt-2 rounded-lg bg-sunken px-3 py-2.5 font-mono text-xs break-all whitespace-pre-wrap text-ink">{props.text}</pre>
  )
}
