import { ApiProblem } from '../../app/api.ts'
import { problemText } from '../../app/problem-text.ts'
import type { I18n } from '../../i18n/i18n.tsx'

/** As everywhere, but the seeds' functions say their sentence in `error`. */
export function imageProblem(problem: unknown, i18n: I18n): string {
  if (!(problem instanceof ApiProblem)) return problemText(problem, i18n)
  const fields = problem.fields.map(({ message }) => message).filter(Boolean).join(' ')
  if (fields) return fields
  const { error } = problem.body
  const plain = problem.status !== 402 && problem.detail === undefined && typeof error === 'string' && /\s/.test(error)
  return plain ? error : problemText(problem, i18n)
}

/** Whether the same file may be taken another time: trouble on the way, not with the file. */
export const mayUploadAgain = (problem: unknown): boolean => !(problem instanceof ApiProblem) || ![413, 415, 422].includes(problem.status)

/** Why a picture was not taken. */
export function uploadProblem(problem: unknown, i18n: I18n, name: string, most: number): string {
  const { t } = i18n
  if (!(problem instanceof ApiProblem)) return t('problem.generic')
  if (problem.status === 415) return t('images.wrongType', { name })
  if (problem.status === 413) return t('images.tooLargePlain', { name, mb: most })
  if (problem.status === 422) return t(problem.fields.some(({ rule }) => rule === 'too_many_pixels') ? 'images.tooManyPixels' : 'images.unreadable', { name })
  return `${name}: ${problemText(problem, i18n)}`
}
