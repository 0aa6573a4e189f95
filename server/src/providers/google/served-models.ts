import { callJson } from '../http-call.ts'
import type { ProviderFetch } from '../provider-fetch.ts'

/** Those of `models` that Google still serves to this key; null when it could not be told. Asks only, makes nothing. */
export async function servedModels({ key, baseUrl, models, fetch }: { key: string; baseUrl: string; models: readonly string[]; fetch: ProviderFetch }): Promise<string[] | null> {
  const answers = await Promise.all(models.map((model) =>
    callJson({ fetch, url: `${baseUrl}/v1beta/models/${model}`, method: 'GET', key, keyHeader: 'x-goog-api-key', signal: AbortSignal.timeout(15_000), timeoutMs: 15_000, now: Date.now() })))
  const statuses = answers.map((answer) => (answer.kind === 'answer' ? answer.status : 0))
  if (statuses.some((status) => status !== 200 && status !== 404)) return null
  return models.filter((_, index) => statuses[index] === 200)
}
