import { hashKey, type QueryClient, type QueryKey } from '@tanstack/react-query'

export type LookAgain = (key: QueryKey) => Promise<void>

/**
 * Reads again what the page shows of a key, at the line's own pace: one read is under way and one more waits, however
 * much is heard. A read is never cut off for the next: on a slow line none would come to its end.
 */
export function lookAgainAt(client: QueryClient): LookAgain {
  const waiting = new Map<string, boolean>()
  return async (queryKey) => {
    const key = hashKey(queryKey)
    if (waiting.has(key)) return void waiting.set(key, true)
    do {
      // What somebody else began to read may be older than the news.
      waiting.set(key, client.isFetching({ queryKey, type: 'active' }) > 0)
      await client.invalidateQueries({ queryKey }, { cancelRefetch: false })
    } while (waiting.get(key))
    waiting.delete(key)
  }
}
