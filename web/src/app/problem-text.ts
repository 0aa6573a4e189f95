import type { I18n } from '../i18n/i18n.tsx'
import { ApiProblem } from './api.ts'
import { PriceChanged } from './queries.ts'

/** What went wrong, in one kind sentence in the reader's language. */
export function problemText(problem: unknown, { t, tokens }: I18n): string {
  if (problem instanceof PriceChanged) return t('problem.price', { price: tokens(problem.tokens) })
  if (!(problem instanceof ApiProblem)) return t('problem.generic')
  if (problem.status === 0) return t('problem.offline')
  const required = problem.number('required')
  const available = problem.number('available')
  if (problem.status === 402 && required !== undefined && available !== undefined) {
    return t('problem.tokens', { required: tokens(required), available: tokens(available) })
  }
  const later = problem.number('retryAfterSec')
  if (problem.status === 429 && later !== undefined) return t('problem.later', { n: Math.max(1, Math.ceil(later)) })
  return problem.detail ?? t('problem.generic')
}
