import type { Act, Generation } from './generations.ts'

const ABOUT_FILES = new Set(['download_failed', 'storage_failed', 'bad_file', 'file_too_large', 'unsafe_url'])

/**
 * Which retries make sense. Asking again needs a task to ask about and an end that the provider may still mend;
 * fetching again needs files that it has. Making it anew always works, and costs.
 */
export function retriesFor(generation: Pick<Generation, 'state' | 'providerTaskId' | 'missing' | 'error'>): Act[] {
  const { state, providerTaskId, missing, error } = generation
  const acts: Act[] = ['regenerate']
  if (!providerTaskId) return acts
  if (state === 'complete' || ABOUT_FILES.has(error?.code ?? '')) acts.unshift('redownload')
  const incomplete = state !== 'complete' || Boolean(missing)
  if (incomplete && error?.code !== 'content_policy' && error?.code !== 'invalid_request') acts.unshift('recheck')
  return acts
}
