import { isUtf8 } from 'node:buffer'
import { Webhook } from 'standardwebhooks'
import type { RawCallback } from '../provider.ts'

const TOLERANCE_MS = 5 * 60_000
/** A secret that could not be read is asked for again at most so often; one that no signature fits may have been replaced. */
const ASK_AGAIN_MS = { unknown: 60_000, known: 10 * 60_000 }

export const isSecret = (value: unknown): value is string => typeof value === 'string' && /^whsec_[A-Za-z0-9+/]{8,}={0,2}$/.test(value)

/**
 * Whether a callback carries a Standard Webhooks signature made with this secret over these very bytes, no more than
 * five minutes ago. Never throws. Any of several signatures may fit: a secret is replaced while both are in use.
 */
export function isSigned({ body, headers, now }: RawCallback, secret: string): boolean {
  // The library signs text: bytes that are no text could stand for another body than the one that was signed.
  if (!isUtf8(body)) return false
  const age = now - Number(headers['webhook-timestamp']) * 1000
  if (!(Math.abs(age) <= TOLERANCE_MS)) return false
  try {
    new Webhook(secret).verify(Buffer.from(body), headers as Record<string, string>, { jsonParse: false })
    return true
  } catch {
    return false
  }
}

export interface WebhookSecret {
  /** Null while it is not known: then no signature can be judged. */
  current(): string | null
  /** Looks it up in the background when that may help; never throws, never asks often. */
  refresh(): Promise<void>
}

/** The account's signing secret: the configured one, else the one that the provider tells, asked for once. */
export function createWebhookSecret(options: { configured?: string; ask: () => Promise<string | null>; now: () => number }): WebhookSecret {
  const { configured, ask, now } = options
  let known = configured ?? null
  let asking: Promise<void> | null = null
  let askedAt = -Infinity

  async function look(): Promise<void> {
    askedAt = now()
    known = (await ask().catch(() => null)) ?? known
  }
  return {
    current: () => known,
    async refresh() {
      if (configured || (!asking && now() - askedAt < ASK_AGAIN_MS[known ? 'known' : 'unknown'])) return
      asking ??= look().finally(() => {
        asking = null
      })
      await asking
    },
  }
}
