export type BadFileReason =
  | 'empty'
  | 'html'
  | 'wrong_type'
  | 'truncated'
  | 'undecodable'
  | 'too_short'
  | 'too_many_pixels'

/** A file that must not be stored. Worth another download: the next one may be whole. */
export class BadFile extends Error {
  readonly reason: BadFileReason
  readonly detail: string
  constructor(reason: BadFileReason, detail: string) {
    super(`${reason}: ${detail}`)
    this.name = 'BadFile'
    this.reason = reason
    this.detail = detail
  }
}
