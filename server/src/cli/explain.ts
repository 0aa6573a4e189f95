import type { Queryable } from '../database/pool.ts'
import { isFinal, type GenerationState } from '../engine/state.ts'
import { eventSentence } from './event-sentence.ts'

/** What happened to a generation (or a music-clips job), what it cost and what comes next; null when unknown. */
export async function explain(db: Queryable, id: string): Promise<string | null> {
  const { rows } = await db.query<Record<string, any>>(
    `select g.*, h.updated_at, reprise.now() as now,
       (select coalesce(sum(amount) filter (where state = 'open'), 0) from reprise.hold_items i where i.generation_id = g.id) as held,
       (select coalesce(sum(amount) filter (where state = 'captured'), 0) from reprise.hold_items i where i.generation_id = g.id) as captured,
       (select coalesce(sum(amount) filter (where state = 'released'), 0) from reprise.hold_items i where i.generation_id = g.id) as released
     from reprise.generations g join reprise.heartbeats h on h.id = g.id
     where g.id::text = $1 or g.provider_task_id = $1 or g.id = (select generation_id from reprise.music_clips_runs where job_id = $1)`,
    [id],
  )
  const row = rows[0]
  if (!row) return null
  const { rows: events } = await db.query<Record<string, any>>('select * from reprise.events where generation_id = $1 order by id', [row.id])
  const { rows: results } = await db.query<Record<string, any>>('select * from reprise.results where generation_id = $1 order by role desc, index', [row.id])
  return [
    `Generation ${row.id}`,
    `  ${row.kind} at ${row.provider}${row.provider_task_id ? `, task ${row.provider_task_id}` : ''}, asked ${stamp(row.created_at)} by user ${row.user_id}`,
    `  "${String(row.request.title ?? row.request.prompt).slice(0, 100)}"`,
    '',
    `State: ${row.state}${row.error_code ? ` (${row.error_code}${row.error_detail ? `: ${row.error_detail}` : ''})` : ''}${row.arrived_late_at ? `, a file arrived late, ${stamp(row.arrived_late_at)}` : ''}`,
    `Cost:  ${row.cost} tokens: ${row.captured} paid, ${row.released} given back, ${row.held} still held`,
    `Next:  ${whatNext(row)}`,
    '',
    'Files:',
    ...results.map((result) => `  ${result.role} ${result.index + 1}: ${fileLine(result)}`),
    '',
    'What happened:',
    ...events.map((event) => `  ${stamp(event.at)}  ${eventSentence(event)}`),
  ].join('\n')
}

function whatNext(row: Record<string, any>): string {
  const state = row.state as GenerationState
  const at = row.next_at ? stamp(row.next_at) : null
  if (isFinal(state)) {
    if (row.held > 0) return `what has not arrived by ${stamp(row.deadline_at)} is given back`
    return at ? `nothing that you need to wait for; late files are looked for again at ${at}` : 'nothing; it is over'
  }
  if (row.dispatch_at && row.blocked_reason) return `waits because the provider refuses (${row.blocked_reason}); tried again at ${stamp(row.dispatch_at)}, given up at ${stamp(row.deadline_at)}`
  if (row.dispatch_at) return `waits for its turn at the provider since ${stamp(row.dispatch_at)}; timed out and given back at ${stamp(row.deadline_at)}`
  if (row.indeterminate_until) return `nobody knows whether the provider took it; a sign is waited for until ${stamp(row.indeterminate_until)}`
  if (row.check_at) return `the provider is asked at ${stamp(row.check_at)}; timed out and given back at ${stamp(row.deadline_at)}`
  return `looked after at ${at}; timed out at ${stamp(row.deadline_at)}`
}

function fileLine(result: Record<string, any>): string {
  switch (result.state) {
    case 'stored':
      return `stored, ${result.bytes} bytes, sha256 ${result.sha256}`
    case 'refused':
      return `not taken (${result.refused_code}${result.refused_detail ? `: ${result.refused_detail}` : ''}), ${result.tries} tries`
    case 'known':
      return `being fetched, try ${result.tries + 1}${result.next_at ? ` at ${stamp(result.next_at)}` : ''}`
    default:
      return 'not there yet'
  }
}

const stamp = (at: Date | string): string => new Date(at).toISOString().replace('T', ' ').slice(0, 23)
