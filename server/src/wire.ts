import { join } from 'node:path'
import { createDatabase, type Database } from './database/pool.ts'
import { isTransient } from './database/transient.ts'
import { migrate, ownSqlFiles } from './database/migrate.ts'
import { countTrips, noCrash, type Crash } from './engine/crash.ts'
import { createEngine } from './engine/engine.ts'
import { sweepIncoming } from './engine/incoming.ts'
import { createLoop } from './engine/loop.ts'
import { createObtain, type DownloadLimits } from './engine/obtain.ts'
import type { SaveJob } from './engine/save.ts'
import { createArchive } from './features/archive/archive.ts'
import { archiveRoutes } from './features/archive/archive.routes.ts'
import { createBoard } from './features/archive/board.ts'
import { createArchiveRecords } from './features/archive/records.ts'
import { createRun } from './features/archive/run.ts'
import { createAccounts, keptSecret } from './features/accounts/accounts.ts'
import { accountsRoutes } from './features/accounts/accounts.routes.ts'
import { zip, zipLength } from './features/export/bag.ts'
import { createExport } from './features/export/export.ts'
import { exportRoutes } from './features/export/export.routes.ts'
import { createLibrary } from './features/export/library.ts'
import { createFixity } from './features/fixity/fixity.ts'
import { fixityRoutes, watchFixity } from './features/fixity/fixity.routes.ts'
import { recordFiles } from './features/fixity/record-files.listener.ts'
import { createFixityRecords } from './features/fixity/records.ts'
import { createAccept } from './features/generations/accept.ts'
import { callbackAddress } from './features/generations/callback-address.ts'
import { CALLBACK_PATHS, callbackRoutes } from './features/generations/callbacks.routes.ts'
import { generationsRoutes } from './features/generations/generations.routes.ts'
import { createExplorer } from './features/ledger/explorer.ts'
import { createLedger, openWallet } from './features/ledger/ledger.ts'
import { settleMoves } from './features/ledger/ledger.listener.ts'
import { ledgerRoutes } from './features/ledger/ledger.routes.ts'
import { createPrices } from './features/ledger/prices.ts'
import { operatorLedgerRoutes } from './features/ledger/operator.routes.ts'
import { pricesRoutes } from './features/ledger/prices.routes.ts'
import { createLiveEvents } from './features/live/live.ts'
import { liveRoutes } from './features/live/live.routes.ts'
import { createChannels } from './features/music-clips/channels.queries.ts'
import { channelsRoutes } from './features/music-clips/channels.routes.ts'
import { followMusicClips } from './features/music-clips/music-clips.listener.ts'
import { musicClipsErrors, musicClipsRoutes } from './features/music-clips/music-clips.routes.ts'
import { createRuns } from './features/music-clips/runs.ts'
import { imageProviderOf } from './features/image-jobs/image-jobs.config.ts'
import { followImageJobs } from './features/image-jobs/image-jobs.listener.ts'
import { createImageJobQueries } from './features/image-jobs/image-jobs.queries.ts'
import { imageJobsRoutes } from './features/image-jobs/image-jobs.routes.ts'
import { createJobs } from './features/image-jobs/jobs.ts'
import { createPictures, PICTURES, uploadIn } from './features/image-jobs/pictures.ts'
import { createThumbnails } from './features/image-jobs/thumbnails.ts'
import { createUploads, MOST_UPLOAD_BYTES } from './features/image-jobs/uploads.ts'
import { createPhotoAddresses, uploadsRoutes } from './features/image-jobs/uploads.routes.ts'
import { sweepUploads } from './features/image-jobs/unnamed-uploads.ts'
import { isValidAudioUrl } from './features/mureka-functions/audio-url.ts'
import { createDownload } from './features/mureka-functions/download.ts'
import { createDownloadGuard } from './features/mureka-functions/download-guard.ts'
import { createForeignSongs } from './features/mureka-functions/foreign-songs.ts'
import { createGenerationQueries } from './features/mureka-functions/generations.queries.ts'
import { followMurekaFunctions } from './features/mureka-functions/mureka-functions.listener.ts'
import { murekaFunctionsRoutes } from './features/mureka-functions/mureka-functions.routes.ts'
import { tellMoves } from './features/notifications/notifications.listener.ts'
import { createNotifications } from './features/notifications/notifications.ts'
import { notificationsRoutes } from './features/notifications/notifications.routes.ts'
import { checkLedger, createMaintenance, nextRun, recorded } from './features/operations/maintenance.ts'
import { operationsRoutes, watchGenerations } from './features/operations/operations.routes.ts'
import { createScheduleWatch } from './features/operations/schedule-watch.ts'
import { createStaleJobs } from './features/stale-jobs/stale-jobs.ts'
import { staleJobsRoutes } from './features/stale-jobs/stale-jobs.routes.ts'
import { createServe, filesRoutes } from './features/tracks/files.routes.ts'
import { createBaseAddress } from './features/tracks/base-address.ts'
import { createMediaAccess } from './features/tracks/media-access.ts'
import { BUCKETS, followTracks, publicUrl } from './features/tracks/tracks.listener.ts'
import { createTracks } from './features/tracks/tracks.queries.ts'
import { tracksRoutes } from './features/tracks/tracks.routes.ts'
import { createAuthenticator } from './http-kit/authentication.ts'
import { functionsErrors } from './http-kit/functions.ts'
import { createHealth } from './http-kit/health.ts'
import { createMetrics } from './http-kit/metrics.ts'
import { createApp, type App } from './http-kit/openapi.ts'
import { createEventStreams } from './http-kit/sse.ts'
import { mountWebPage } from './http-kit/web-page.ts'
import type { Clock } from './kernel/clock.ts'
import type { ErrorCode } from './kernel/errors.ts'
import { ERRORS } from './kernel/errors.ts'
import type { Ids } from './kernel/ids.ts'
import type { Logger } from './kernel/logger.ts'
import { MOST_PICTURE_BYTES } from './providers/google/request.ts'
import type { Provider } from './providers/provider.ts'
import { createRegistry } from './providers/registry.ts'
import type { DiskStore } from './storage/disk/disk-store.ts'
import { claimFilesFolder } from './storage/disk/same-folder.ts'
import { createGuardedFetch } from './storage/guarded-fetch.ts'
import { label } from './texts/texts.ts'

export interface WireOptions {
  databaseUrl: string
  databasePool: number
  compatSchema: string
  providers: Provider[]
  /** Base address of each provider, by id: decides whether it can call us on loopback. */
  providerBases: Record<string, string>
  blobs: DiskStore
  /** Where `blobs` lie, when it must be made sure that all nodes share it and that it outlives a redeploy. */
  filesFolder?: string
  downloadAllowHosts: string[]
  downloadLimits?: DownloadLimits
  /** Where this process listens; known before it does, so that callbacks can be given out. */
  ownUrl: () => string
  publicBaseUrl?: string
  corsOrigins: string[]
  demo: boolean
  version: string
  publicMedia: boolean
  mediaSigningSecret?: string
  signupTokens: number
  deadlineSec: number
  archiveParallel: number
  fixityDays: number
  fixityMbPerSec: number
  appLinkBase?: string
  /** Which provider makes the pictures of new image jobs. */
  imageProvider?: string
  /** Hosts from which songs of the team's own rows may be asked for. */
  audioUrlHosts?: string[]
  storagePricePerGb: number
  graceSec: number
  leaseMs: number
  sessionDays: number
  jwtSecret?: string
  jwksUrl?: string
  jwtIssuer?: string
  jwtAudience?: string
  serviceRoleKey?: string
  anonKey?: string
  metricsToken?: string
  /** Folder of the built page; none: API only. */
  webFolder?: string
  node: string
  clock: Clock
  ids: Ids
  random: () => number
  logger: Logger
  crash?: Crash
  /** Gets a result's file; default: downloads and verifies it. */
  obtain?: ReturnType<typeof createObtain>
}

/** Tables in the compatibility schema that must be ours. */
const CONTRACT_TABLES = ['tracks', 'music_clips_jobs', 'track_archiving_jobs', 'notifications', 'archive_statistics', 'ai_generations', 'generation_jobs', 'generation_tasks']

/** Reading a file again is in no hurry: another node waits longer before it takes over. */
const FIXITY_LEASE_MS = 60_000
const DAY_MS = 86_400_000

/** The composition root: hands each room what it needs, and one room's function to another. */
export async function wire(options: WireOptions) {
  const { logger, clock, ids, compatSchema: schema, publicBaseUrl, crash = noCrash } = options
  const imageProvider = imageProviderOf(options.imageProvider, options.providers)
  const blobs = countTrips(options.blobs, ['stage', 'publish', 'replace', 'get', 'head', 'delete'], crash)
  const db = countTrips(createDatabase({ url: options.databaseUrl, max: options.databasePool, applicationName: `reprise ${options.node}`, logger }), ['query', 'transaction'], crash)
  await migrate(db, { ...ownSqlFiles(), compatSchema: schema, tables: CONTRACT_TABLES.map((table) => ({ schema, table })), logger })
  if (options.filesFolder) await checkFilesFolder(db, blobs, ids, options.filesFolder)
  await fillErrorLabels(db)

  const base = () => publicBaseUrl ?? options.ownUrl()
  const baseAddress = createBaseAddress({ db, schema, fallback: base })
  await baseAddress.read()
  const registry = createRegistry(options.providers.map((provider) => countTrips(provider, ['makeReady', 'submit', 'check', 'cancel'], crash)))
  const media = createMediaAccess({ publicMedia: options.publicMedia, secret: options.mediaSigningSecret ?? (await keptSecret(db, ids, 'media')), base, columnBases: baseAddress.known, clock })
  const guardedFetch = createGuardedFetch({ allowHosts: options.downloadAllowHosts })
  const callbackOf = (provider: string) => callbackAddress({ publicBaseUrl, ownUrl: options.ownUrl(), providerBaseUrl: options.providerBases[provider]! })

  const obtain = options.obtain ?? createObtain({ blobs, guardedFetch, limits: options.downloadLimits })
  const storeIsThere = async () => {
    if (options.filesFolder) await claimFilesFolder(options.filesFolder, await keptSecret(db, ids, 'files'), async () => false)
  }
  const engine = createEngine({
    db, node: options.node, registry, blobs, ids, logger, crash, leaseMs: options.leaseMs, graceMs: options.graceSec * 1000,
    obtain, placeOf, storeIsThere,
    callbackUrl(provider, token) {
      const to = callbackOf(provider).base
      return to ? `${to}${CALLBACK_PATHS[provider]}?token=${encodeURIComponent(token)}` : null
    },
    // Money first, then tracks, then the seeds' tables: all in the transaction of the move.
    listeners: [settleMoves, followTracks(schema, baseAddress), followMusicClips(logger), followMurekaFunctions, tellMoves, recordFiles,
      followImageJobs({ base: baseAddress.current, urlOf: publicUrl, onStored: () => thumbnails.wake() })],
  })

  const makeThumbnails = createThumbnails({ db, schema, blobs, clock, logger, urlOf: async (...file) => publicUrl(await baseAddress.current(db), ...file) })
  const thumbnails = createLoop('thumbnails', 60_000, makeThumbnails, logger)

  const ledger = createLedger({ db })
  const tracks = createTracks({ db, schema, media })
  const accept = createAccept({
    db, registry, ids, deadlineSec: options.deadlineSec,
    accountStatus: engine.accounts.status,
    wakeDispatcher: () => engine.waker.wake(['dispatch', 'events']),
  })
  const accounts = createAccounts({
    database: db, onNewUser: openWallet(options.signupTokens),
    sessionSecret: await keptSecret(db, ids, 'session'), sessionDays: options.sessionDays, clock, ids,
  })
  const live = createLiveEvents({ db, schema, logger })
  const streams = createEventStreams()
  engine.waker.on('events', live.wake)
  const channels = createChannels(db)
  const runs = createRuns({
    db, schema, channels, ids, clock, random: options.random, logger, accept,
    wakeDispatcher: () => engine.waker.wake(['dispatch', 'events']),
    sunoAccount: () => registry.find('suno')?.account ?? null,
    accountStatus: engine.accounts.status,
    callbackProblem: () => callbackOf('suno').problem,
  })

  const linkBase = options.appLinkBase?.replace(/\/+$/, '') ?? ''
  const fixity = createFixity({
    records: createFixityRecords({ db, schema, node: options.node, days: options.fixityDays, leaseMs: FIXITY_LEASE_MS, linkBase }),
    blobs, heal: engine.heal, days: options.fixityDays, mbPerSec: options.fixityMbPerSec, leaseMs: FIXITY_LEASE_MS, clock, logger,
  })
  const suspect = (blobKey: string) => void fixity.look(blobKey).catch(() => undefined) // it is logged there

  const staleJobs = createStaleJobs({ db, logger })
  const records = createArchiveRecords({ db, schema, node: options.node, leaseMs: options.leaseMs, linkBase })
  const archive = createArchive({
    db, schema, records, logger, leaseMs: options.leaseMs, atOnce: options.archiveParallel,
    run: createRun({
      db, records, blobs, obtain, heal: fixity.look, storeIsThere, base: () => baseAddress.current(db), urlOf: publicUrl,
      guard: createDownloadGuard({ db, schema, ids, logger }), logger,
    }),
    wake: () => engine.waker.wake(['archive']),
  })
  engine.waker.on('archive', archive.wake)
  const foreignSongs = createForeignSongs({ db, logger })
  engine.waker.on('songs', foreignSongs.wake)
  const board = createBoard({ db, schema, pricePerGb: options.storagePricePerGb, nextRun: () => nextRun('archive', clock.now()) })

  const resultsOf = (kind: string, provider: string): number =>
    registry.all.find(({ descriptor }) => descriptor.kinds.includes(kind as never) && (provider === '*' || provider === descriptor.id))?.resultCount({ kind: kind as never, prompt: '' }) ?? 1

  const uploads = createUploads({ db, schema, blobs, ids })
  const imageJobs = createJobs({
    db, schema, provider: imageProvider, mostPictureBytes: MOST_PICTURE_BYTES, accept,
    wake: () => engine.waker.wake(['dispatch', 'events']), pictures: createPictures({ db, blobs, uploads, guardedFetch, base }),
  })

  const library = createLibrary({ db, schema })

  const health = createHealth({ checks: { database: () => db.query('select 1') }, clock })
  const metrics = createMetrics({ token: options.metricsToken })
  watchGenerations(metrics.registry, db)
  watchFixity(metrics.registry, fixity)
  const scheduleWatch = createScheduleWatch({ db, logger })
  scheduleWatch.measure(metrics.registry)
  const app = createApp({
    version: options.version, corsOrigins: options.corsOrigins, logger, clock, ids, publicBaseUrl, isTransient, observe: metrics.observe,
    maxBodyBytesOf: { '/api/uploads/images': MOST_UPLOAD_BYTES },
    formats: [musicClipsErrors, functionsErrors],
    mountFirst: (first) => health.mount(first),
    authenticate: createAuthenticator({
      jwtSecret: options.jwtSecret, jwksUrl: options.jwksUrl, issuer: options.jwtIssuer, audience: options.jwtAudience,
      serviceRoleKey: options.serviceRoleKey, anonKey: options.anonKey, sessionSecret: await keptSecret(db, ids, 'session'),
      publicBaseUrl, provision: accounts.provision, clock,
    }),
  })
  metrics.mount(app)
  const serve = createServe(blobs)
  const photos = createPhotoAddresses({ base, queryOf: media.queryOf, verify: media.verify })
  const generations = createGenerationQueries({ db, schema })
  const rooms: App[] = [
    accountsRoutes(accounts, { publicBaseUrl }),
    generationsRoutes({ db, store: engine.store, accept, tracksOf: tracks.ofGenerations, fileUrl: media.urlOf,
      healFiles: async (id) => { for (const { blobKey } of await tracks.storedFiles(id)) await fixity.look(blobKey) },
    }),
    callbackRoutes({ door: engine.door, clock }),
    tracksRoutes({
      tracks, serve, heal: fixity.look,
      archiveNow: async (id) => void (await archive.waitFor((await archive.request([id], 'user')).values(), 25_000)),
      redownload: async (generationId, by) => void (await engine.store.apply({ generationId, cause: 'user', evidence: { kind: 'redownload', by } })),
    }),
    filesRoutes({ tracks, serve, media }),
    ledgerRoutes({ ledger }),
    pricesRoutes({ prices: createPrices({ db, modelsOf: Object.fromEntries(registry.all.map(({ descriptor: { id, models } }) => [id, models.map((one) => one.id)])) }), resultsOf }),
    operatorLedgerRoutes({
      ledger, explorer: createExplorer({ db }), nextCheck: () => nextRun('ledger-check', clock.now()),
      checkNow: () => recorded(db, logger, 'ledger-check', () => checkLedger(db, logger)),
    }),
    notificationsRoutes({ notifications: createNotifications({ db, schema }) }),
    liveRoutes({ live, streams }),
    channelsRoutes({ channels, ids }),
    archiveRoutes({ archive, board, db, schema }),
    staleJobsRoutes({ staleJobs }),
    exportRoutes({ library, prepare: createExport({ library, blobs, version: options.version, clock, damaged: fixity.damaged, suspect }) }),
    fixityRoutes({ fixity, days: options.fixityDays, mbPerSec: options.fixityMbPerSec }),
    musicClipsRoutes({ runs, playable: (url) => media.playable(url) }),
    murekaFunctionsRoutes({
      db, schema, generations, prepare: accept.prepare, wakeDispatcher: () => engine.waker.wake(['dispatch', 'events']), playable: (url) => media.playable(url),
      download: createDownload({
        generations, blobs, heal: fixity.look, isValidAudioUrl: (url) => isValidAudioUrl(url, { hosts: options.audioUrlHosts ?? [], allowHosts: options.downloadAllowHosts }),
        redownload: async (generationId) => void (await engine.store.apply({ generationId, cause: 'user', evidence: { kind: 'redownload', by: 'download-and-save-track' } })),
      }),
    }),
    imageJobsRoutes({
      jobs: imageJobs, queries: createImageJobQueries({ db, schema }), playable: (url) => media.playable(url),
      previewOf(userId, url) {
        const upload = uploadIn(url, base())
        return upload ? photos.of(userId, upload) : media.playable(url)
      },
      zip: (folder, files) => zip(folder, files, { blobs, suspect }), zipLength,
    }),
    uploadsRoutes({ uploads, serve, base, photos }),
    operationsRoutes({ version: options.version, demo: options.demo, providers: registry.all.map((one) => one.descriptor.id),
      models: registry.all.flatMap(currentModels), modelsOf: Object.fromEntries(registry.all.map((one) => [one.descriptor.id, currentModels(one)])),
      defaultModels: Object.fromEntries(registry.all.map(({ descriptor }) => [descriptor.id, descriptor.defaultModel])), imageProvider,
    }),
  ]
  for (const room of rooms) app.route('/', room)
  const hasPage = options.webFolder ? mountWebPage(app, options.webFolder) : false

  const stop = async () => void (await Promise.all([engine.stop(), archive.stop(), foreignSongs.stop(), fixity.stop(), thumbnails.stop()]))
  const sweepStaging = async () => {
    await blobs.sweepStaging(DAY_MS)
    await sweepIncoming({ db, blobs, olderThanMs: DAY_MS, now: clock.now() })
  }
  const maintenance = createMaintenance({
    db, logger, sweepStaging, archive: archive.daily, fixity: fixity.pass, staleJobs: staleJobs.sweep,
    sweepUploads: () => sweepUploads({ db, schema, blobs, now: clock.now() }),
  })

  return {
    app, db, engine, archive, accounts, health, streams, maintenance, scheduleWatch, hasPage,
    /** Told by a process that knows the address under which Reprise is reached. */
    rememberBase: baseAddress.remember,
    async startWorkers(): Promise<void> {
      await engine.startWorkers()
      archive.start()
      foreignSongs.start()
      fixity.start()
      thumbnails.start()
    },
    /** Takes nothing new and waits for what is under way. */
    stop,
    async close(): Promise<void> {
      await stop()
      await guardedFetch.close()
      await db.close()
    },
  }
}

const currentModels = ({ descriptor }: Provider): string[] => descriptor.models.filter((model) => model.status === 'current').map((model) => model.id)

/** Bucket and name of a saved file: the seeds' paths for songs and their covers. */
function placeOf(job: SaveJob): string {
  if (job.kind === 'song') return join(BUCKETS[job.role], job.userId, job.finalId)
  return join(job.kind === 'image' ? PICTURES : 'generated', job.userId, job.role === 'final' ? job.finalId : `${job.finalId}-cover`)
}

/** Throws FilesFolderError. Results of before the mark was invented vouch for their folder: the newest must lie there. */
async function checkFilesFolder(db: Database, blobs: Pick<DiskStore, 'head'>, ids: Ids, folder: string): Promise<void> {
  const { rowCount: known } = await db.query(`select 1 from reprise.secrets where name = 'files'`)
  const id = await keptSecret(db, ids, 'files')
  await claimFilesFolder(folder, id, async () => {
    const { rows: [newest] } = await db.query<{ key: string }>(`select blob_key as key from reprise.results where state = 'stored' order by stored_at desc limit 1`)
    return !newest || (known === 0 && (await blobs.head(newest.key)) !== null)
  })
}

/** The view of seed 001 names errors by the taxonomy's English labels. */
async function fillErrorLabels(db: Database): Promise<void> {
  const rows = (Object.keys(ERRORS) as ErrorCode[]).map((code) => ({ code, label: label('en', code) }))
  await db.query(
    `insert into reprise.error_labels (code, label) select code, label from jsonb_to_recordset($1) as n (code text, label text)
     on conflict (code) do update set label = excluded.label where error_labels.label <> excluded.label`,
    [JSON.stringify(rows)],
  )
}
