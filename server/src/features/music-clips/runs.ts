import type { Database, Queryable, Tx } from '../../database/pool.ts'
import type { AccountStatus } from '../../engine/accounts.ts'
import { sameRequest, type Idempotency } from '../../http-kit/idempotency.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Ids } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { GenerationRequest } from '../../providers/provider.ts'
import { promptOf, type Channel } from './channel.ts'
import type { Channels } from './channels.queries.ts'
import { logStage } from './music-clips.listener.ts'
import { jobErrorOf, Refusal } from './refusals.ts'

/** What accepting gives back, as far as a run needs it. */
interface AcceptedRun {
  id: string
  createdAt: Date
  replayed: boolean
}

interface Deps {
  db: Database
  /** COMPAT_SCHEMA, where the view `music_clips_jobs` is. */
  schema: string
  channels: Channels
  accept: {
    /** Checks before the transaction; what it answers writes in it. AppError when refused, by either. */
    prepare: (asks: [{ userId: string; provider: 'suno'; request: GenerationRequest; origin: 'music_clips'; idempotency: Idempotency }]) => Promise<(tx: Tx) => Promise<AcceptedRun[]>>
    /** The generation that the same request was accepted as before. */
    earlier: (userId: string, idempotency: Idempotency) => Promise<string | null>
  }
  wakeDispatcher: () => void
  /** Null when no Suno key is configured. */
  sunoAccount: () => string | null
  accountStatus: (account: string) => Promise<AccountStatus>
  callbackProblem: () => 'not_configured' | 'invalid' | null
  ids: Ids
  clock: Clock
  random: () => number
  logger: Logger
}

export interface StartedRun {
  jobId: string
  channelId: string
  createdAt: Date
}

/** A refusal that left a job at 90. */
export class RefusedRun extends Error {
  readonly refusal: Refusal
  readonly jobId: string
  constructor(refusal: Refusal, jobId: string) {
    super(refusal.code)
    this.refusal = refusal
    this.jobId = jobId
  }
}

const STARTED = 'r.job_id as "jobId", r.channel_id as "channelId", r.created_at as "createdAt"'
const ROUTE = 'POST /api/music-clips/channels/:channelId/runOnce'
const LANGUAGE_NAMES: Record<string, string> = { ru: 'Russian', en: 'English', kk: 'Kazakh', fr: 'French' }

/** Running a channel once: the seed's checks in the seed's order, then accept and job in one transaction. */
export function createRuns(deps: Deps) {
  const { db, schema, channels, ids, clock } = deps
  const newJobId = () => `job_${clock.now()}_${ids.uuid().replaceAll('-', '').slice(0, 10)}`

  async function runOnce(channelId: string, userId: string, body: Record<string, unknown>): Promise<StartedRun> {
    const channel = await channels.find(channelId, userId)
    if (!channel) throw new Refusal('CHANNEL_NOT_FOUND', { id: channelId })
    const jobId = newJobId()
    const idempotency = sameRequest(ROUTE, { channelId: channel.id, body })
    try {
      await check(channel)
      return await start(channel, jobId, idempotency)
    } catch (error) {
      const refusal = asRefusal(error)
      if (!refusal) throw error
      // What was accepted a moment ago stays accepted, though the next new request would be refused.
      const generationId = await deps.accept.earlier(channel.userId, idempotency)
      if (generationId) return firstAnswer(db, generationId)
      await keepRefusal(channel, jobId, refusal)
      throw new RefusedRun(refusal, jobId)
    }
  }

  async function check(channel: Channel): Promise<void> {
    if (channel.type !== 'music_clips') throw new Refusal('INVALID_CHANNEL_TYPE')
    if (promptOf(channel.musicClipsSettings, 0, () => 0).prompt === '') throw new Refusal('SUNO_PROMPT_REQUIRED')
    const account = deps.sunoAccount()
    if (!account) throw new Refusal('SUNO_API_KEY_NOT_CONFIGURED')
    const problem = deps.callbackProblem()
    if (problem) throw new Refusal(problem === 'invalid' ? 'CALLBACK_URL_INVALID' : 'CALLBACK_URL_NOT_CONFIGURED')
    const { refusing, credits } = await deps.accountStatus(account)
    if (refusing === 'provider_auth') throw new Refusal('SUNO_API_KEY_REJECTED')
    // The open breaker knows better than a balance looked up before it opened.
    if (refusing === 'no_credits' || credits === 0) throw new Refusal('SUNO_NO_CREDITS', {}, { credits: 0 })
  }

  async function start(channel: Channel, jobId: string, idempotency: Idempotency): Promise<StartedRun> {
    const { rows } = await db.query<{ runs: number }>('select count(*) as runs from reprise.music_clips_runs where channel_id = $1 and generation_id is not null', [channel.id])
    const { prompt, variantIndex } = promptOf(channel.musicClipsSettings, rows[0]!.runs, deps.random)
    const write = await deps.accept.prepare([{ userId: channel.userId, provider: 'suno', origin: 'music_clips', request: requestOf(channel, prompt), idempotency }])
    const run = await db.transaction(async (tx): Promise<StartedRun> => {
      const [accepted] = (await write(tx)) as [AcceptedRun]
      if (accepted.replayed) return firstAnswer(tx, accepted.id)
      await tx.query(
        'insert into reprise.music_clips_runs (job_id, channel_id, user_id, generation_id, variant_index, created_at) values ($1, $2, $3, $4, $5, $6)',
        [jobId, channel.id, channel.userId, accepted.id, variantIndex, accepted.createdAt],
      )
      await tx.query(
        `update reprise.channels set music_clips_settings = music_clips_settings || jsonb_build_object('lastJobId', $2::text, 'lastJobStatus', 'STAGE_10_REQUEST_ACCEPTED') where id = $1`,
        [channel.id, jobId],
      )
      return { jobId, channelId: channel.id, createdAt: accepted.createdAt }
    })
    deps.wakeDispatcher()
    if (run.jobId === jobId) logStage(deps.logger, { jobId, stage: 'STAGE_10_REQUEST_ACCEPTED', taskId: null })
    return run
  }

  async function firstAnswer(on: Queryable, generationId: string): Promise<StartedRun> {
    const { rows } = await on.query<StartedRun>(`select ${STARTED} from reprise.music_clips_runs r where r.generation_id = $1`, [generationId])
    return rows[0]!
  }

  async function keepRefusal(channel: Channel, jobId: string, refusal: Refusal): Promise<void> {
    await db.query(
      `insert into reprise.music_clips_runs (job_id, channel_id, user_id, refused_code, refused_message, created_at) values ($1, $2, $3, $4, $5, reprise.now())`,
      [jobId, channel.id, channel.userId, refusal.code, jobErrorOf(refusal)],
    )
    logStage(deps.logger, { jobId, stage: 'STAGE_90_FAILED', taskId: null })
  }

  return {
    runOnce,
    async findJob(jobId: string, userId: string | null): Promise<Record<string, any> | null> {
      const { rows } = await db.query<Record<string, any>>(
        `select j.*, greatest(0, floor(extract(epoch from reprise.now() - j.updated_at)))::int as seconds_since_update
         from "${schema}".music_clips_jobs j where j.job_id = $1 and ($2::uuid is null or j.user_id = $2)`,
        [jobId, userId],
      )
      return rows[0] ?? null
    },
  }
}

export type Runs = ReturnType<typeof createRuns>

function requestOf({ musicClipsSettings: settings }: Channel, prompt: string): GenerationRequest {
  const tags = settings.styleTags.map((tag) => tag.trim()).filter(Boolean)
  const language = settings.language ? `\nLanguage: ${LANGUAGE_NAMES[settings.language]}` : ''
  return { kind: 'song', prompt: `${prompt}${language}`, ...(tags.length ? { style: tags.join(', ') } : {}) }
}

function asRefusal(error: unknown): Refusal | null {
  if (error instanceof Refusal) return error
  if (!(error instanceof AppError)) return null
  const { required, available, retryAfterSec } = error.params as Record<string, number>
  switch (error.code) {
    case 'insufficient_tokens':
      return new Refusal('INSUFFICIENT_TOKENS', { required: required!, available: available! }, { required, available })
    case 'queue_full':
      return new Refusal('QUEUE_FULL', { retryAfterSec: retryAfterSec! }, { retryAfterSec })
    case 'validation_failed':
      return new Refusal('SUNO_REQUEST_INVALID', { detail: error.fields.map((field) => `${field.path}: ${field.message}`).join('; ') })
    case 'no_credits':
      return new Refusal('SUNO_NO_CREDITS', {}, { credits: 0 })
    case 'provider_auth':
      return new Refusal('SUNO_API_KEY_REJECTED')
    case 'provider_not_configured':
      return new Refusal('SUNO_API_KEY_NOT_CONFIGURED')
    default:
      return null
  }
}
