import type { ErrorCode } from '../kernel/errors.ts'

/** What a progress line can be about: the generation's state, or one of the two flags that say more than the state. */
export type ProgressKey =
  | 'queued'
  | 'submitting'
  | 'generating'
  | 'previewing'
  | 'saving'
  | 'complete'
  | 'complete_with_missing'
  | 'failed'
  | 'timed_out'
  | 'cancelled'
  | 'indeterminate'
  | 'blocked'

/** What can be wrong with one field of a request; also the stable `rule` of a FieldError. */
export type FieldRule =
  | 'required'
  | 'type'
  | 'too_small'
  | 'too_big'
  | 'format'
  | 'choice'
  | 'unknown_key'
  | 'cursor'
  | 'characters'
  | 'photo_needed'
  | 'too_many_photos'
  | 'too_many_references'
  | 'no_such_upload'
  | 'no_such_picture'
  | 'no_such_job'
  | 'unsafe_address'
  | 'picture_too_large'
  | 'not_fetched'
  | 'too_many_pixels'
  | 'not_a_picture'
  | 'damaged_picture'
  | 'too_many_uploads'
  | 'invalid'

/**
 * One language. `{name}` is filled from the parameters. A part in square brackets is left out when one of its
 * parameters is not known: `Please wait[ {retryAfterSec} s].`
 */
export interface Texts {
  /** What happened, what it cost, what to do. */
  errors: Record<ErrorCode, string>
  /** A few words for titles, lists and the seeds' one-line errors. */
  labels: Record<ErrorCode, string>
  progress: Record<ProgressKey, string>
  fields: Record<FieldRule, string>
}
