import type { Database, Queryable, Tx } from '../../database/pool.ts'
import { sameRequest, type Idempotency } from '../../http-kit/idempotency.ts'
import { AppError } from '../../kernel/errors.ts'
import type { GenerationRequest } from '../../providers/provider.ts'
import { actionsOf, PRICE_KINDS, SELECTABLE_CARDS, type CardStatus, type PriceKind } from './cards.ts'
import { productImagesOf, type JobWish, type ProductImage } from './job-wish.ts'
import { PICTURES, type FindPictures, type NamedAddress } from './pictures.ts'
import { promptFor, styleFor, type PictureRole } from './prompts.ts'
import type { KeptPicture } from './uploads.ts'

export const ORIGIN = 'image-jobs'
/** A card's own deadline: this, and more for each card of the job before it. */
const DEADLINE_SEC = 600
const DEADLINE_PER_CARD_SEC = 120

/** A card's request; what its pictures are for stands beside them, in their order. Missing in the oldest ones. */
type CardRequest = GenerationRequest & { pictureRoles?: PictureRole[] }
interface Ask {
  userId: string; provider: string; request: CardRequest; origin: typeof ORIGIN; regeneratedFrom?: string
  deadlineSec: number; priceKind: PriceKind; perItem?: number; idempotency: Idempotency | null
}

/** Paid requests, as this room asks for them. Each throws AppError when it refuses. */
interface Accept {
  /** Checks before a transaction; what it answers writes all or none inside one. Of a repeated request the first alone. */
  prepare: (asks: [Ask, ...Ask[]]) => Promise<(tx: Tx) => Promise<{ id: string; cost: number; replayed: boolean }[]>>
  /** The generation that the same request was accepted as before. */
  earlier: (userId: string, idempotency: Idempotency) => Promise<string | null>
  /** What a picture costs at this provider; null without a price. */
  prices: (provider: string, kinds: readonly PriceKind[]) => Promise<Record<PriceKind, number | null>>
}

interface Deps {
  db: Database
  /** COMPAT_SCHEMA, where the tables are. */
  schema: string
  /** Which provider makes new pictures. */
  provider: string
  /** Bytes that the pictures of one request may have together, at any provider. */
  mostPictureBytes: number
  accept: Accept
  /** Tells workers that there is something to do. */
  wake: () => void
  pictures: FindPictures
}

/** One card on its way into a new job. */
interface NewCard {
  index: number
  type: string
  request: CardRequest
  priceKind: PriceKind
  sourceTaskId: string | null
  regeneratedFrom?: string
}

interface NewJob {
  userId: string
  productName: string | null
  category: string | null
  description: string | null
  productImages: ProductImage[]
  aspectRatio: string
  unifiedStyling: boolean
  styleDescription: string | null
  styleSourceImageUrl: string | null
  sourceJobId: string | null
  cards: NewCard[]
}

export interface StartedJob {
  jobId: string
  replayed: boolean
}

/** What may be done with a card once its generation has ended. Each is a job of its own with one card. */
export type CardAction = { kind: 'retry' } | { kind: 'regenerate' } | { kind: 'edit'; instruction: string }

/** Image jobs: everything is checked, and pictures from outside fetched, before anything is written or charged. */
export function createJobs({ db, schema, provider, mostPictureBytes, accept, wake, pictures }: Deps) {
  const jobsTable = `"${schema}".generation_jobs`
  const tasksTable = `"${schema}".generation_tasks`
  const underWay = new Map<string, Promise<StartedJob>>()

  /** A request that was accepted before has its answer, whatever has become of what it names; of twins only one goes on. */
  async function once(userId: string, idempotency: Idempotency, begin: () => Promise<StartedJob>): Promise<StartedJob> {
    const name = [userId, idempotency.route, idempotency.key].join('\n')
    for (let twin; (twin = underWay.get(name)); await twin.catch(() => undefined)) {
      if (!idempotency.waitForTwin) throw new AppError('request_in_progress', { retryAfterSec: 1 })
    }
    const started = (async () => {
      const before = await accept.earlier(userId, idempotency)
      return before ? jobOf(before, db) : begin()
    })()
    underWay.set(name, started)
    try {
      return await started
    } finally {
      underWay.delete(name)
    }
  }

  async function jobOf(generationId: string, on: Queryable): Promise<StartedJob> {
    const { rows } = await on.query<{ jobId: string }>(`select job_id as "jobId" from ${tasksTable} where generation_id = $1`, [generationId])
    if (!rows[0]) throw new AppError('idempotency_key_reused')
    return { jobId: rows[0].jobId, replayed: true }
  }

  const prices = () => accept.prices(provider, PRICE_KINDS)

  /** Before anything that takes its time: who surely cannot pay hears so at once. */
  async function checkTokens(userId: string, kind: PriceKind, count: number): Promise<void> {
    const required = ((await prices())[kind] ?? 0) * count
    const { rows: [wallet] } = await db.query<{ available: number }>('select available from reprise.wallets where user_id = $1', [userId])
    const available = wallet?.available ?? 0
    if (available < required) throw new AppError('insufficient_tokens', { required, available })
  }

  /** Before anything is charged: what no provider would take. */
  async function checkSize(named: { field: string; picture: KeptPicture }[]): Promise<void> {
    const { rows } = await db.query<{ place: number; bytes: number }>(
      `select n.place, f.bytes from jsonb_to_recordset($1) as n (place int, bucket text, path text) join reprise.files f on f.bucket = n.bucket and f.path = n.path order by f.bytes desc`,
      [JSON.stringify(named.map(({ picture: { bucket, path } }, place) => ({ place, bucket, path })))])
    if (rows.reduce((sum, { bytes }) => sum + bytes, 0) <= mostPictureBytes) return
    const message = `The pictures of one request may have ${mostPictureBytes / 2 ** 20} MB together; this is the largest of them.`
    throw new AppError('validation_failed', {}, [{ path: named[rows[0]!.place]!.field, rule: 'too_big', message }])
  }

  /** Job, cards, generations and holds in one transaction; the same request again is the same job. */
  async function start(job: NewJob, idempotency: Idempotency): Promise<StartedJob> {
    const write = await accept.prepare(job.cards.map((card, place): Ask => ({
      userId: job.userId, provider, request: card.request, origin: ORIGIN, priceKind: card.priceKind, deadlineSec: DEADLINE_SEC + place * DEADLINE_PER_CARD_SEC,
      idempotency: place === 0 ? idempotency : null, ...(card.regeneratedFrom && { regeneratedFrom: card.regeneratedFrom }),
    })) as [Ask, ...Ask[]])
    const started = await db.transaction(async (tx): Promise<StartedJob> => {
      const accepted = await write(tx)
      const [first] = accepted
      if (first!.replayed) return jobOf(first!.id, tx)
      const { rows: [row] } = await tx.query<{ id: string }>(
        `insert into ${jobsTable} (user_id, product_name, category, description, product_images, total_cards, tokens_cost, unified_styling, style_description, style_source_image_url, source_job_id, aspect_ratio)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) returning id`,
        [job.userId, job.productName, job.category, job.description, JSON.stringify(job.productImages), job.cards.length, accepted.reduce((sum, { cost }) => sum + cost, 0),
          job.unifiedStyling, job.styleDescription, job.styleSourceImageUrl, job.sourceJobId, job.aspectRatio])
      await tx.query(
        `insert into ${tasksTable} (job_id, card_index, card_type, prompt, generation_id, source_task_id, price_kind)
         select $1, c.index, c.type, c.prompt, c.generation_id, c.source_task_id, c.price_kind
         from jsonb_to_recordset($2) as c (index int, type text, prompt text, generation_id uuid, source_task_id uuid, price_kind text)`,
        [row!.id, JSON.stringify(job.cards.map((card, place) => ({
          index: card.index, type: card.type, prompt: card.request.prompt, generation_id: accepted[place]!.id, source_task_id: card.sourceTaskId, price_kind: card.priceKind,
        })))])
      return { jobId: row!.id, replayed: false }
    })
    wake()
    return started
  }

  function requestOf(job: Omit<NewJob, 'cards' | 'userId' | 'sourceJobId'>, cardType: string, images: { picture: KeptPicture; role: PictureRole }[], more: { instruction?: string; prompt?: string | null } = {}): CardRequest {
    const productName = job.productName ?? 'the product'
    return {
      kind: 'image',
      prompt: more.prompt || promptFor({ ...job, productName, cardType, pictures: images.map(({ role }) => role), ...(more.instruction && { instruction: more.instruction }) }),
      ...(job.productName && { title: job.productName.slice(0, 200) }),
      options: { aspectRatio: job.aspectRatio, images: images.map(({ picture: { bucket, path } }) => ({ bucket, path })) },
      pictureRoles: images.map(({ role }) => role),
    }
  }

  async function picturesOf(userId: string, productImages: ProductImage[], styleSourceImageUrl: string | null, signal: AbortSignal) {
    const named: (NamedAddress & { role: PictureRole })[] = productImages.map(({ url, type }, index) => ({
      field: type === 'reference' ? 'referenceImageUrl' : `productImages.${index}`, url, role: type,
    }))
    if (styleSourceImageUrl) named.push({ field: 'styleSourceImageUrl', url: styleSourceImageUrl, role: 'style' })
    const found = await pictures(userId, named, signal)
    await checkSize(found.map((picture, index) => ({ picture, field: named[index]!.field })))
    return found.map((picture, index) => ({ picture, role: named[index]!.role }))
  }

  return {
    /** A new job as `create-generation-job-banana` asks for it. `asked` is the body without a user, for telling twins. */
    create(userId: string, wish: JobWish, asked: Record<string, unknown>, key: string | undefined, signal: AbortSignal): Promise<StartedJob> {
      const idempotency = sameRequest('POST /functions/v1/create-generation-job-banana', asked, key)
      return once(userId, idempotency, async () => {
        await checkTokens(userId, 'image', wish.selectedCards.length)
        if (wish.sourceJobId) {
          const { rowCount } = await db.query(`select 1 from ${jobsTable} where id = $1 and user_id = $2`, [wish.sourceJobId, userId])
          if (rowCount === 0) throw new AppError('validation_failed', {}, [{ path: 'sourceJobId', rule: 'no_such_job', message: '' }])
        }
        const images = await picturesOf(userId, wish.productImages, wish.styleSourceImageUrl, signal)
        const job = { ...wish, styleDescription: wish.unifiedStyling && !wish.styleSourceImageUrl ? styleFor(wish.productName, wish.category) : null }
        const cards = wish.selectedCards.map((index): NewCard => {
          const type = SELECTABLE_CARDS[index]!
          return { index, type, request: requestOf(job, type, images), priceKind: 'image', sourceTaskId: null }
        })
        return start({ ...job, userId, cards }, idempotency)
      })
    },

    /** Tries a failed card again, makes another one like it, or changes its picture: a new job with this one card. */
    again(userId: string, jobId: string, index: number, action: CardAction, key: string | undefined): Promise<StartedJob> {
      const instruction = action.kind === 'edit' ? { instruction: action.instruction } : {}
      const idempotency = sameRequest(`POST /api/image-jobs/:id/cards/:index/${action.kind}`, { jobId, index, ...instruction }, key)
      return once(userId, idempotency, async () => {
        const card = await findCard(userId, jobId, index)
        const priceKind = actionsOf(card)[action.kind]
        if (!priceKind || !card.request) throw new AppError('conflict', { state: card.status })
        const request = action.kind === 'edit' ? await edited(card, card.request, action.instruction) : card.request
        const type = action.kind === 'edit' ? 'mainEdit' : card.type
        return start({ ...card.job, userId, sourceJobId: jobId, cards: [{ index, type, request, priceKind, sourceTaskId: card.id, regeneratedFrom: card.generationId! }] }, idempotency)
      })
    },

    /** What a picture costs at the provider that makes them now, by the lines of the price table. */
    prices,

    /**
     * Starts a job that came from outside (its cards have no generation yet), or wakes one that runs. Such a job was paid
     * elsewhere: nothing is held here. Throws AppError(not_found) when it is not `userId`'s; null means anybody's.
     */
    async process(jobId: string, userId: string | null, signal: AbortSignal): Promise<void> {
      const { rows: [job] } = await db.query<JobRow & { waiting: boolean }>(
        `select ${JOB_ROW}, j.status in ('pending', 'processing') and exists (select from ${tasksTable} t where ${WAITING} and t.job_id = j.id) as waiting
         from ${jobsTable} j where j.id = $1 and ($2::uuid is null or j.user_id = $2)`, [jobId, userId])
      if (!job) throw new AppError('not_found')
      if (job.waiting) await startOutside(jobId, job, signal)
      wake()
    },
  }

  async function startOutside(jobId: string, job: JobRow, signal: AbortSignal): Promise<void> {
    // At once, before anything that may fail: whoever looks for stuck jobs sees it from now on.
    await db.query(`update ${jobsTable} set started_at = coalesce(started_at, reprise.now()), updated_at = reprise.now() where id = $1 and status in ('pending', 'processing')`, [jobId])
    const images = await picturesOf(job.userId, productImagesOf(job.productImages), job.styleSourceImageUrl, signal)
    for (let started = false; !started; ) {
      const cards = await waitingCards(jobId, db)
      if (cards.length === 0) return
      const asks = cards.map((card, place): Ask => ({
        userId: job.userId, provider, request: requestOf(job, card.type, images, { prompt: card.prompt }), origin: ORIGIN, priceKind: 'image', perItem: 0,
        deadlineSec: DEADLINE_SEC + place * DEADLINE_PER_CARD_SEC, idempotency: null,
      }))
      const write = await accept.prepare(asks as [Ask, ...Ask[]])
      started = await db.transaction(async (tx) => {
        // Wallet before job, as where tokens are settled: two that wait for each other would not end.
        await tx.query('select 1 from reprise.wallets where user_id = $1 for update', [job.userId])
        const { rowCount: open } = await tx.query(`select 1 from ${jobsTable} where id = $1 and status in ('pending', 'processing') for update`, [jobId])
        if (open === 0) return true
        // Somebody else may have started some of them, or the team may have added one: then anew.
        if (String((await waitingCards(jobId, tx)).map(({ id }) => id)) !== String(cards.map(({ id }) => id))) return false
        const accepted = await write(tx)
        await tx.query(
          `update ${tasksTable} t set generation_id = n.generation_id, prompt = n.prompt, status = 'pending', updated_at = reprise.now()
           from jsonb_to_recordset($1) as n (id uuid, generation_id uuid, prompt text) where t.id = n.id`,
          [JSON.stringify(cards.map(({ id }, place) => ({ id, generation_id: accepted[place]!.id, prompt: asks[place]!.request.prompt })))])
        await tx.query(`update ${jobsTable} set total_cards = greatest(total_cards, (select count(*) from ${tasksTable} where job_id = $1)) where id = $1`, [jobId])
        return true
      })
    }
  }

  async function waitingCards(jobId: string, on: Queryable) {
    const { rows } = await on.query<{ id: string; type: string; prompt: string | null }>(
      `select t.id, t.card_type as type, t.prompt from ${tasksTable} t where ${WAITING} and t.job_id = $1 order by t.card_index, t.id`, [jobId])
    return rows
  }

  async function findCard(userId: string, jobId: string, index: number) {
    const { rows: [row] } = await db.query<JobRow & {
      id: string; type: string; status: CardStatus; storagePath: string | null; generationId: string | null; priceKind: PriceKind; request: CardRequest | null
    }>(
      `select ${JOB_ROW}, t.id, t.card_type as type, t.status, t.storage_path as "storagePath", t.generation_id as "generationId", coalesce(t.price_kind, 'image') as "priceKind", g.request
       from ${tasksTable} t join ${jobsTable} j on j.id = t.job_id left join reprise.generations g on g.id = t.generation_id
       where t.job_id = $1 and t.card_index = $2 and j.user_id = $3`, [jobId, index, userId])
    if (!row) throw new AppError('not_found')
    const { id, type, status, storagePath, generationId, priceKind, request, ...job } = row
    return { id, type, status, storagePath, generationId, priceKind, request, job }
  }

  async function edited({ job, storagePath }: Awaited<ReturnType<typeof findCard>>, request: CardRequest, instruction: string): Promise<CardRequest> {
    const picture = { bucket: PICTURES, path: storagePath! }
    const sent = (request.options?.images ?? []) as KeptPicture[]
    // The photos of the product, so that it stays what it is; not what was edited or imitated before.
    const photos = request.pictureRoles
      ? sent.filter((_, place) => request.pictureRoles![place] === 'product')
      : sent.filter(({ bucket }) => bucket !== PICTURES).slice(0, productImagesOf(job.productImages).filter(({ type }) => type === 'product').length)
    await checkSize([picture, ...photos].map((one) => ({ field: 'picture', picture: one })))
    return requestOf(job, 'mainEdit', [{ picture, role: 'edited' }, ...photos.map((photo) => ({ picture: photo, role: 'product' as const }))], { instruction })
  }
}

export type Jobs = ReturnType<typeof createJobs>

/** Cards that nobody has started. */
const WAITING = `t.generation_id is null and t.status in ('pending', 'processing', 'retrying')`

type JobRow = Omit<NewJob, 'cards'>
const JOB_ROW = `j.user_id as "userId", j.product_name as "productName", j.category, j.description, j.product_images as "productImages", j.aspect_ratio as "aspectRatio",
  j.unified_styling as "unifiedStyling", j.style_description as "styleDescription", j.style_source_image_url as "styleSourceImageUrl", j.source_job_id as "sourceJobId"`
