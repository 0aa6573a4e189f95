import type { Database } from '../../database/pool.ts'
import type { CardStatus, PriceKind } from './cards.ts'
import type { ProductImage } from './job-wish.ts'

export interface CardRow {
  id: string
  jobId: string
  index: number
  type: string
  status: CardStatus
  prompt: string | null
  imageUrl: string | null
  thumbnailUrl: string | null
  storagePath: string | null
  retryCount: number
  retryAfter: Date | null
  lastError: string | null
  startedAt: Date | null
  completedAt: Date | null
  generationId: string | null
  sourceTaskId: string | null
  /** By which line of the price table it was paid. */
  priceKind: PriceKind
  /** Of its generation; null for a card that nobody here started. */
  state: string | null
  /** Why it failed, or why its last attempt did. */
  errorCode: string | null
  /** The name that the model gave its refusal. */
  refusal: string | null
  arrivedLateAt: Date | null
  deadlineAt: Date | null
  cost: number
  held: number
  captured: number
  released: number
}

export interface JobRow {
  id: string
  userId: string
  productName: string | null
  category: string | null
  description: string | null
  productImages: ProductImage[]
  status: 'pending' | 'processing' | 'completed' | 'failed'
  totalCards: number
  completedCards: number
  tokensCost: number
  errorMessage: string | null
  startedAt: Date | null
  completedAt: Date | null
  createdAt: Date
  updatedAt: Date
  unifiedStyling: boolean
  styleDescription: string | null
  styleSourceImageUrl: string | null
  sourceJobId: string | null
  aspectRatio: string
}

/** A stored picture of a job, for its ZIP. */
export interface StoredPicture {
  index: number
  type: string
  path: string
  blobKey: string
  sha256: string
  bytes: number
  mime: string
  at: Date
}

/** Reads image jobs and their cards, ours and those from outside alike. */
export function createImageJobQueries({ db, schema }: { db: Database; schema: string }) {
  const jobs = `"${schema}".generation_jobs`
  const tasks = `"${schema}".generation_tasks`

  return {
    /** Newest first, after the job of this id. */
    async list(userId: string, limit: number, after: string | undefined): Promise<JobRow[]> {
      const { rows } = await db.query<JobRow>(
        `select ${JOB} from ${jobs} j where j.user_id = $1
           and ($2::uuid is null or (j.created_at, j.id) < (select l.created_at, l.id from ${jobs} l where l.id = $2 and l.user_id = $1))
         order by j.created_at desc, j.id desc limit $3`, [userId, after ?? null, limit])
      return rows
    },

    /** `userId` null looks at everybody's. */
    async find(id: string, userId: string | null): Promise<JobRow | null> {
      const { rows } = await db.query<JobRow>(`select ${JOB} from ${jobs} j where j.id = $1 and ($2::uuid is null or j.user_id = $2)`, [id, userId])
      return rows[0] ?? null
    },

    /** Cards of these jobs, and, with `family`, those made again from them, whatever job these are in. Oldest first. */
    async cards(jobIds: string[], { family }: { family: boolean }): Promise<CardRow[]> {
      const own = `select t.* from ${tasks} t where t.job_id = any ($1)`
      const { rows } = await db.query<CardRow>(
        `with recursive c as (${own}${family ? ` union select n.* from ${tasks} n join c on n.source_task_id = c.id` : ''})
         select t.id, t.job_id as "jobId", t.card_index as index, t.card_type as type, t.status, t.prompt, t.image_url as "imageUrl", t.thumbnail_url as "thumbnailUrl",
           t.storage_path as "storagePath", t.retry_count as "retryCount", t.retry_after as "retryAfter", t.last_error as "lastError", t.started_at as "startedAt",
           t.completed_at as "completedAt", t.generation_id as "generationId", t.source_task_id as "sourceTaskId", coalesce(t.price_kind, 'image') as "priceKind",
           g.state, coalesce(g.error_code, last.error_code) as "errorCode",
           reprise.refusal_of(coalesce(g.error_code, last.error_code), case when g.error_code is null then last.error_detail else g.error_detail end) as refusal, g.arrived_late_at as "arrivedLateAt", g.deadline_at as "deadlineAt",
           coalesce(h.cost, 0) as cost, coalesce(h.held, 0) as held, coalesce(h.captured, 0) as captured, coalesce(h.released, 0) as released
         from c t left join reprise.generations g on g.id = t.generation_id
         left join lateral (select a.error_code, a.error_detail from reprise.attempts a where a.generation_id = t.generation_id order by a.number desc limit 1) last on true
         left join lateral (
           select sum(i.amount) as cost, sum(i.amount) filter (where i.state = 'open') as held, sum(i.amount) filter (where i.state = 'captured') as captured,
             sum(i.amount) filter (where i.state = 'released') as released from reprise.hold_items i where i.generation_id = t.generation_id
         ) h on true
         order by t.created_at, t.card_index`, [jobIds])
      return rows
    },

    async storedPictures(taskIds: string[]): Promise<StoredPicture[]> {
      const { rows } = await db.query<StoredPicture>(
        `select t.card_index as index, t.card_type as type, f.path, f.blob_key as "blobKey", f.sha256, f.bytes, f.mime, t.created_at as at
         from ${tasks} t join reprise.files f on f.bucket = 'generated-images' and f.path = t.storage_path where t.id = any ($1) order by t.card_index, t.created_at`, [taskIds])
      return rows
    },
  }
}

export type ImageJobQueries = ReturnType<typeof createImageJobQueries>

const JOB = `j.id, j.user_id as "userId", j.product_name as "productName", j.category, j.description, j.product_images as "productImages", j.status,
  j.total_cards as "totalCards", j.completed_cards as "completedCards", j.tokens_cost as "tokensCost", j.error_message as "errorMessage", j.started_at as "startedAt",
  j.completed_at as "completedAt", j.created_at as "createdAt", j.updated_at as "updatedAt", j.unified_styling as "unifiedStyling", j.style_description as "styleDescription",
  j.style_source_image_url as "styleSourceImageUrl", j.source_job_id as "sourceJobId", j.aspect_ratio as "aspectRatio"`
