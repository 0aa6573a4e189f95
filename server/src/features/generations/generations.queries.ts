import type { Queryable } from '../../database/pool.ts'

/** What a generation looks like from outside: its record, heartbeat, attempts, tracks and receipt in one row. */
const SELECT = `
  select g.id, g.state, g.provider, g.kind, g.request, g.cost, g.provider_task_id, g.indeterminate_until, g.blocked_reason, g.missing,
    g.arrived_late_at, g.regenerated_from, g.created_at, g.deadline_at, g.finished_at, g.heard_at, g.error_code, g.origin, g.user_id,
    case when g.origin = 'image-jobs' then reprise.image_job_of(g.id) end as image_job_id,
    h.updated_at, reprise.now() as now,
    coalesce((select jsonb_agg(jsonb_build_object('number', a.number, 'state', a.state, 'task_id', a.task_id, 'error_code', a.error_code,
      'created_at', a.created_at, 'sent_at', a.sent_at, 'accepted_at', a.accepted_at, 'ended_at', a.ended_at) order by a.number)
      from reprise.attempts a where a.generation_id = g.id), '[]') as attempts,
    coalesce((select jsonb_agg(jsonb_build_object('index', r.index, 'preview_url', r.preview_url) order by r.index)
      from reprise.results r where r.generation_id = g.id and r.role = 'final' and r.preview_url is not null and r.state <> 'stored'), '[]') as previews,
    case when g.kind <> 'image' then '[]' else coalesce((select jsonb_agg(jsonb_build_object('id', r.id, 'index', r.index, 'blob_key', r.blob_key,
      'sha256', r.sha256, 'bytes', r.bytes, 'mime', r.mime) order by r.index)
      from reprise.results r where r.generation_id = g.id and r.role = 'final' and r.state = 'stored'), '[]') end as images,
    coalesce((select sum(i.amount) from reprise.hold_items i where i.generation_id = g.id and i.state = 'open'), 0) as held,
    coalesce((select sum(i.amount) from reprise.hold_items i where i.generation_id = g.id and i.state = 'captured'), 0) as captured,
    coalesce((select sum(i.amount) from reprise.hold_items i where i.generation_id = g.id and i.state = 'released'), 0) as released
  from reprise.generations g join reprise.heartbeats h on h.id = g.id`

type Row = Record<string, any>

export async function findGeneration(db: Queryable, id: string, userId: string | null): Promise<Row | null> {
  const { rows } = await db.query<Row>({ name: 'find_generation', text: `${SELECT} where g.id = $1 and ($2::uuid is null or g.user_id = $2)`, values: [id, userId] })
  return rows[0] ?? null
}

/** Newest first, after the keyset `[createdAt, id]` of the page before, without those of the origin `except`. */
export async function listGenerations(db: Queryable, userId: string, limit: number, after: [string, string] | undefined, except?: string): Promise<Row[]> {
  const { rows } = await db.query<Row>({
    name: `list_generations${after ? '_after' : ''}`,
    text: `${SELECT} where g.user_id = $1 and ($3::text is null or g.origin <> $3) ${after ? 'and (g.created_at, g.id) < ($4::timestamptz, $5::uuid)' : ''} order by g.created_at desc, g.id desc limit $2`,
    values: [userId, limit, except ?? null, ...(after ?? [])],
  })
  return rows
}

export async function listEvents(db: Queryable, generationId: string, limit: number, after: number | undefined): Promise<Row[]> {
  const { rows } = await db.query<Row>({
    name: 'list_events',
    text: `select id, at, type, state, attempt, cause, data from reprise.events
      where generation_id = $1 and id > $2 order by id limit $3`,
    values: [generationId, after ?? 0, limit],
  })
  return rows
}
