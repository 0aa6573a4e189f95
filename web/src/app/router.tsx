import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router'
import { CreatePage } from '../features/generations/create-page.tsx'
import { SignInPage } from '../features/session/sign-in-page.tsx'
import { Crashed, NotFound } from './dead-ends.tsx'
import { Shell } from './shell.tsx'

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound, errorComponent: Crashed })

/** A track that the library is opened at: where notices lead. */
const oneTrack = (search: Record<string, unknown>): { track?: string } => (search.track === undefined ? {} : { track: String(search.track) })

/** What the operator's ledger is narrowed to; what is empty is left out of the address. */
const narrowed = (search: Record<string, unknown>): { userId?: string; generationId?: string; kind?: string; from?: string; to?: string } =>
  Object.fromEntries(['userId', 'generationId', 'kind', 'from', 'to'].flatMap((name) => (search[name] ? [[name, String(search[name])]] : [])))

/** The first page is in the first download; the others come when they are asked for. */
const routes = [
  createRoute({ getParentRoute: () => root, path: '/', component: CreatePage }),
  createRoute({
    getParentRoute: () => root,
    path: '/sign-in',
    component: SignInPage,
    validateSearch: (search): { token?: string } => (search.token === undefined ? {} : { token: String(search.token) }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/generations/$id',
    component: lazyRouteComponent(() => import('../features/generations/generation-page.tsx'), 'GenerationPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/library',
    component: lazyRouteComponent(() => import('../features/tracks/library-page.tsx'), 'LibraryPage'),
    validateSearch: oneTrack,
  }),
  createRoute({
    // The address in notices is that of the seeds' own page.
    getParentRoute: () => root,
    path: '/workspace/library',
    validateSearch: oneTrack,
    beforeLoad: ({ search }) => {
      throw redirect({ to: '/library', search, replace: true })
    },
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/images',
    component: lazyRouteComponent(() => import('../features/images/images-page.tsx'), 'ImagesPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/images/gallery',
    component: lazyRouteComponent(() => import('../features/images/gallery-page.tsx'), 'GalleryPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/images/$id',
    component: lazyRouteComponent(() => import('../features/images/image-job-page.tsx'), 'ImageJobPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/channels',
    component: lazyRouteComponent(() => import('../features/channels/channels-page.tsx'), 'ChannelsPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/wallet',
    component: lazyRouteComponent(() => import('../features/wallet/wallet-page.tsx'), 'WalletPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/notifications',
    component: lazyRouteComponent(() => import('../features/notifications/notifications-page.tsx'), 'NotificationsPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/operator/ledger',
    component: lazyRouteComponent(() => import('../features/ledger/book-page.tsx'), 'BookPage'),
    validateSearch: narrowed,
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/operator/archive',
    component: lazyRouteComponent(() => import('../features/archive/archive-page.tsx'), 'ArchivePage'),
  }),
] as const

export const router = createRouter({
  routeTree: root.addChildren(routes),
  defaultPreload: 'intent',
  scrollRestoration: true,
  defaultErrorComponent: Crashed,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
