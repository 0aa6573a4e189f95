import type { Key } from '../../i18n/en.ts'
import type { Card } from './images.ts'

const KEYS: Record<string, Key> = {
  content_policy: 'reason.content_policy',
  invalid_request: 'reason.invalid_request',
  unavailable: 'reason.unavailable',
  rate_limited: 'reason.rate_limited',
  transient: 'reason.transient',
  no_image: 'reason.no_image',
  empty_result: 'reason.no_image',
  provider_failed: 'reason.provider',
  provider_malformed: 'reason.provider',
  provider_auth: 'reason.access',
  no_credits: 'reason.no_credits',
  bad_file: 'reason.bad_file',
  download_failed: 'reason.bad_file',
  file_too_large: 'reason.bad_file',
  storage_failed: 'reason.storage',
  deadline_exceeded: 'reason.deadline',
  cancelled: 'reason.cancelled',
}

/** The model's own words for a refusal: those who look for help look for these. */
const NAMED = /\b(IMAGE_PROHIBITED_CONTENT|PROHIBITED_CONTENT|IMAGE_SAFETY|IMAGE_RECITATION|RECITATION|BLOCKLIST|SAFETY|SPII|LANGUAGE)\b/

export interface Reason {
  key: Key
  name: string
}

/**
 * Why a card failed, or why it is tried again; nothing while nothing went wrong. A refusal is told apart from trouble
 * at the model, and prohibited content is named: a general "did not work" would have people try the same for ever.
 */
export function reasonOf(card: Pick<Card, 'status' | 'error'>): Reason | undefined {
  const said = `${card.error?.reason ?? ''} ${card.error?.message ?? ''}`
  const name = NAMED.exec(said)?.[1] ?? ''
  if (name.endsWith('PROHIBITED_CONTENT')) return { key: 'reason.prohibited', name }
  if (name) return { key: 'reason.named', name }
  const code = card.error?.code
  if (code && Object.hasOwn(KEYS, code)) return { key: KEYS[code]!, name: '' }
  return card.status === 'failed' || card.error ? { key: 'reason.other', name: '' } : undefined
}

/** Whether the same again may work. After a refusal it is offered, but not as the first thing to do. */
export const isRefusal = (card: Pick<Card, 'status' | 'error'>): boolean =>
  ['reason.prohibited', 'reason.named', 'reason.content_policy', 'reason.invalid_request'].includes(reasonOf(card)?.key ?? '')
