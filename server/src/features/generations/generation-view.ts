import { isFinal, type GenerationState } from '../../engine/state.ts'
import { ERRORS, type ErrorCode } from '../../kernel/errors.ts'
import { label, progressText, text, type Language } from '../../texts/texts.ts'

/** A stored result as the tracks room shows it. */
// oxlint-disable-next-line typescript/no-explicit-any
export type TrackView = { id: string } & Record<string, any>

/** The address of a stored file that a plain `<img>` can open. */
export type FileUrl = (bucket: string, path: string, sha256: string) => string

/** One generation as the API tells it. Times are ISO 8601, amounts tokens. */
export function generationView(row: Record<string, any>, tracks: TrackView[], fileUrl: FileUrl, language: Language) {
  const state: GenerationState = row.state
  return {
    id: row.id as string,
    state,
    progressText: progress(row, language),
    provider: row.provider as string,
    kind: row.kind as 'song' | 'image' | 'video',
    title: (row.request.title ?? null) as string | null,
    prompt: row.request.prompt as string,
    request: row.request as Record<string, any>,
    cost: row.cost as number,
    providerTaskId: row.provider_task_id as string | null,
    indeterminate: row.indeterminate_until !== null,
    blockedReason: row.blocked_reason as string | null,
    missing: (isFinal(state) ? row.missing : 0) as number,
    arrivedLateAt: iso(row.arrived_late_at),
    regeneratedFrom: row.regenerated_from as string | null,
    imageJobId: row.image_job_id as string | null,
    createdAt: iso(row.created_at)!,
    deadlineAt: iso(row.deadline_at)!,
    updatedAt: iso(row.updated_at)!,
    finishedAt: iso(row.finished_at),
    providerHeardAt: iso(row.heard_at),
    stale: !isFinal(state) && Date.parse(row.now) - Date.parse(row.updated_at) > 60_000,
    attempts: (row.attempts as any[]).map((attempt) => ({
      number: attempt.number as number,
      state: attempt.state as string,
      providerTaskId: attempt.task_id as string | null,
      errorCode: attempt.error_code as string | null,
      createdAt: iso(attempt.created_at)!,
      sentAt: iso(attempt.sent_at),
      acceptedAt: iso(attempt.accepted_at),
      endedAt: iso(attempt.ended_at),
    })),
    previews: (row.previews as any[]).map((preview) => ({ index: preview.index as number, previewUrl: preview.preview_url as string })),
    tracks,
    images: (row.images as any[]).map((image) => imageView(image, fileUrl)),
    error: row.error_code && isFinal(state) ? errorView(row.error_code, state, row.captured, language) : null,
    receipt: { cost: row.cost as number, held: row.held as number, captured: row.captured as number, released: row.released as number },
  }
}

function imageView(image: Record<string, any>, fileUrl: FileUrl) {
  const slash = image.blob_key.indexOf('/')
  return {
    id: image.id as string, index: image.index as number, sha256: image.sha256 as string, bytes: Number(image.bytes), mime: image.mime as string,
    url: fileUrl(image.blob_key.slice(0, slash), image.blob_key.slice(slash + 1), image.sha256),
  }
}

function errorView(code: ErrorCode, state: GenerationState, captured: number, language: Language) {
  return { code, label: label(language, code), message: text(language, code), retryable: ERRORS[code].retryable, charged: state === 'complete' || captured > 0 }
}

function progress(row: Record<string, any>, language: Language): string {
  if (row.blocked_reason) return progressText(language, 'blocked', { reason: label(language, row.blocked_reason) })
  if (row.indeterminate_until) return progressText(language, 'indeterminate')
  if (row.state === 'complete' && row.missing > 0) return progressText(language, 'complete_with_missing', { missing: row.missing })
  return progressText(language, row.state)
}

const iso = (value: Date | string | null): string | null => (value === null ? null : new Date(value).toISOString())
