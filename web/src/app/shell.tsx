import { Link, Outlet, useRouterState } from '@tanstack/react-router'
import { Archive, Coins, Image, Library, LogOut, Radio, Settings2, SquarePen } from 'lucide-react'
import { useEffect, useRef, type ReactNode } from 'react'
import { Bell } from '../features/notifications/bell.tsx'
import { restorePlayer } from '../features/tracks/player.ts'
import { PlayerBar } from '../features/tracks/player-bar.tsx'
import { Welcome } from '../features/session/sign-in-page.tsx'
import type { Key } from '../i18n/en.ts'
import { useI18n } from '../i18n/i18n.tsx'
import { LANGUAGES, type Language } from '../i18n/translate.ts'
import { Button } from '../ui/button.tsx'
import { Choice } from '../ui/choice.tsx'
import { Menu } from '../ui/menu.tsx'
import { Notice } from '../ui/notice.tsx'
import { RepeatSign } from '../ui/repeat-sign.tsx'
import { serverAway, signedOut } from './api.ts'
import { liveState, useLive } from './live.ts'
import { pageName } from './page-name.ts'
import { useBalance, useInfo } from './queries.ts'
import { closeSession, isOperator, useUser } from './session.ts'
import { setTheme, theme, THEMES } from './theme.ts'
import { useValue } from './value-store.ts'

interface Place {
  to: string
  key: Key
  icon: ReactNode
}

const PLACES: Place[] = [
  { to: '/', key: 'nav.create', icon: <SquarePen size={20} aria-hidden /> },
  { to: '/images', key: 'nav.images', icon: <Image size={20} aria-hidden /> },
  { to: '/library', key: 'nav.library', icon: <Library size={20} aria-hidden /> },
  { to: '/channels', key: 'nav.channels', icon: <Radio size={20} aria-hidden /> },
  { to: '/wallet', key: 'nav.wallet', icon: <Coins size={20} aria-hidden /> },
]

/** Seen by operators only. */
const OPERATOR_PLACES: Place[] = [...PLACES, { to: '/operator/archive', key: 'nav.archive', icon: <Archive size={20} aria-hidden /> }]

/** Pages that have no place among the others, but a name. */
const NAMES: Record<string, Key> = {
  '/images/gallery': 'images.gallery', '/notifications': 'notices.title', '/operator/ledger': 'book.title', '/sign-in': 'signin.title',
}

/** The frame around every page: where one is, what one has, how live it is, and the player. */
export function Shell() {
  const { t } = useI18n()
  const path = useRouterState({ select: (state) => state.location.pathname })
  const out = useValue(signedOut)
  const away = useValue(serverAway)
  const atDoor = path === '/sign-in'
  const inside = !out && !atDoor
  useLive(inside)
  useEffect(restorePlayer, [])
  const seen = (place: string) => (out && !atDoor ? '/sign-in' : place)
  const shown = seen(path)
  // Known once the new page stands: before, a dialog of the old one may still hold the focus.
  const arrived = seen(useRouterState({ select: (state) => (state.resolvedLocation ?? state.location).pathname }))
  const before = useRef(arrived)
  useEffect(() => {
    // Another page, or the way in and out, begins at its beginning for those who do not see it, too.
    if (before.current !== arrived) document.getElementById('content')?.focus({ preventScroll: true })
    before.current = arrived
  }, [arrived])
  const own = useValue(pageName)
  useEffect(() => {
    const key = OPERATOR_PLACES.find((one) => one.to === shown)?.key ?? NAMES[shown]
    const name = own ?? (key && t(key))
    document.title = name ? `${name} · Reprise` : 'Reprise'
  }, [shown, own, t])

  return (
    <>
      <a
        href="#content"
        className="sr-only z-50 rounded-lg bg-accent px-3 py-2 text-on-accent focus:not-sr-only focus:fixed focus:top-3 focus:left-3"
      >
        {t('app.skip')}
      </a>
      <header className="sticky top-0 z-20 border-b border-line bg-paper/90 backdrop-blur">
        <div className="mx-auto flex h-14 max-w-6xl items-center gap-1 px-4 whitespace-nowrap sm:gap-2 sm:px-5">
          <Link to="/" className="-ml-1 flex items-center gap-2 rounded-lg px-1 py-1 pointer-coarse:min-h-11 pointer-coarse:min-w-11 text-lg font-semibold tracking-tight">
            <RepeatSign className="h-6 text-accent" />
            <span className="max-[420px]:sr-only">Reprise</span>
          </Link>
          <DemoBadge />
          {inside && <Places className="ml-4 hidden items-center gap-0.5 md:flex" />}
          <div className="ml-auto flex items-center gap-1 sm:gap-2">
            {inside && <LiveMark />}
            {inside && <Bell place={path} />}
            {inside && <Balance />}
            <Settings inside={inside} />
          </div>
        </div>
      </header>
      {away && (
        <div className="mx-auto max-w-6xl px-4 pt-3 sm:px-5">
          <Notice tone="warn" live>
            {t('app.away')}
          </Notice>
        </div>
      )}
      <main id="content" tabIndex={-1} className="mx-auto max-w-6xl px-4 pt-5 pb-52 outline-none sm:px-5 sm:pt-7 md:pb-32">
        {out && !atDoor ? <Welcome /> : <Outlet />}
      </main>
      {inside && (
        <div className="fixed inset-x-0 bottom-0 z-20 pb-[env(safe-area-inset-bottom)] max-md:bg-sheet">
          <PlayerBar />
          <Places tabs className="flex border-t border-line bg-sheet md:hidden" />
        </div>
      )}
    </>
  )
}

function Places(props: { className: string; tabs?: boolean }) {
  const { t } = useI18n()
  const places = isOperator(useUser()) ? OPERATOR_PLACES : PLACES
  return (
    <nav aria-label={t('nav.main')} className={props.className}>
      {places.map((place) => (
        <Link
          key={place.to}
          to={place.to}
          activeOptions={{ exact: place.to === '/' }}
          activeProps={{ className: props.tabs ? 'text-accent' : 'bg-sunken text-ink', 'aria-current': 'page' }}
          inactiveProps={{ className: 'text-soft hover:text-ink' }}
          className={
            props.tabs
              ? 'flex min-h-14 min-w-0 flex-auto flex-col items-center justify-center gap-0.5 px-0.5 text-[0.7rem] whitespace-nowrap -outline-offset-2 min-[400px]:text-xs'
              : 'flex min-h-9 pointer-coarse:min-h-11 items-center rounded-lg px-3 text-sm'
          }
        >
          {props.tabs && place.icon}
          {t(place.key)}
        </Link>
      ))}
    </nav>
  )
}

function DemoBadge() {
  const { t } = useI18n()
  const info = useInfo().data
  if (!info?.demo) return null
  return (
    <Menu
      align="left"
      label={`${t('app.demo')}: ${t('app.demoHint')}`}
      className="flex items-center pointer-coarse:min-h-11"
      button={<span className="rounded-md bg-warn-wash px-2 text-xs leading-6 font-medium text-warn">{t('app.demo')}</span>}
    >
      <p className="text-sm">{t('app.demoHint')}</p>
      {info.version && <p className="mt-1 font-mono text-xs text-soft">v{info.version}</p>}
    </Menu>
  )
}

const MARKS = { live: 'bg-accent', connecting: 'bg-edge animate-breathe', polling: 'bg-warn' }

function LiveMark() {
  const { t } = useI18n()
  const state = useValue(liveState)
  return (
    <Menu
      label={`${t(`live.${state}`)}. ${t(`live.${state}Hint`)}`}
      className="flex min-h-9 pointer-coarse:min-h-11 pointer-coarse:min-w-11 items-center justify-center gap-1.5 rounded-lg px-2 text-xs text-soft hover:bg-sunken hover:text-ink"
      button={
        <>
          <span aria-hidden="true" className={`size-2 rounded-full ${MARKS[state]}`} />
          <span className="max-sm:sr-only">{t(`live.${state}`)}</span>
        </>
      }
    >
      <p className="text-sm">
        <strong className="font-medium">{t(`live.${state}`)}</strong>
        <br />
        {t(`live.${state}Hint`)}
      </p>
    </Menu>
  )
}

function Balance() {
  const { t, tokens, language } = useI18n()
  const { data } = useBalance()
  if (!data) return <span className="h-9 w-14" />
  const hint = data.held > 0 ? `. ${t('balance.held', { amount: tokens(data.held) })}` : ''
  return (
    <Link
      to="/wallet"
      aria-label={`${t('balance.label')}: ${tokens(data.available)}${hint}`}
      title={tokens(data.available) + hint}
      className="num flex min-h-9 pointer-coarse:min-h-11 items-center gap-1.5 rounded-lg border border-line bg-sheet px-2.5 text-sm font-medium hover:border-edge"
    >
      <Coins size={15} className="text-accent" aria-hidden />
      {new Intl.NumberFormat(language, { notation: data.available >= 100_000 ? 'compact' : 'standard' }).format(data.available)}
    </Link>
  )
}

const TONGUES: Record<Language, string> = { en: 'English', ru: 'Русский', fr: 'Français' }

function Settings(props: { inside: boolean }) {
  const { t, language, setLanguage } = useI18n()
  const chosen = useValue(theme)
  return (
    <Menu
      label={`${language.toUpperCase()}: ${t('lang.label')}, ${t('theme.label')}`}
      className="flex min-h-9 pointer-coarse:min-h-11 items-center gap-1.5 rounded-lg px-2 text-xs font-medium text-soft uppercase hover:bg-sunken hover:text-ink"
      button={
        <>
          {language}
          <Settings2 size={18} aria-hidden />
        </>
      }
    >
      <div className="grid gap-3">
        <Choice
          label={t('lang.label')}
          value={language}
          options={LANGUAGES.map((value) => ({ value, label: TONGUES[value], lang: value }))}
          onChange={setLanguage}
        />
        <Choice
          label={t('theme.label')}
          value={chosen}
          options={THEMES.map((value) => ({ value, label: t(`theme.${value}`) }))}
          onChange={setTheme}
        />
        {props.inside && (
          <Button look="quiet" className="-mx-1 justify-start" onClick={() => void closeSession()}>
            <LogOut size={16} aria-hidden />
            {t('action.signOut')}
          </Button>
        )}
      </div>
    </Menu>
  )
}
