import type { Ids } from '../kernel/ids.ts'
import { sha256Hex } from '../kernel/ids.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Registry } from '../providers/registry.ts'
import type { Prepared, Provider, ProviderResult, SubmitOutcome } from '../providers/provider.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { Breaker } from './breaker.ts'
import type { Crash } from './crash.ts'
import type { PatientKnock } from './knock.ts'
import { INCOMING } from './incoming.ts'
import type { Leases } from './leases.ts'
import { createLoop } from './loop.ts'
import { takeSlots } from './rate.ts'
import { refusals } from './record.ts'
import type { Evidence, GenerationRecord, StagedResult } from './state.ts'
import type { Knock, Store } from './store.ts'

interface Deps {
  store: Store
  knock: PatientKnock
  registry: Registry
  leases: Leases
  breaker: Breaker
  blobs: BlobStore
  ids: Ids
  /** The address that a provider calls back, or null when nobody outside can reach us. */
  callbackUrl: (provider: string, token: string) => string | null
  wakeIfParked: (provider: string, taskId: string, generationId: string) => Promise<void>
  crash: Crash
  logger: Logger
  /** Submits in flight at once in this process. */
  atOnce?: number
}

/**
 * Takes rate slots and gives them to the requests whose turn it is, users in turn. For each: attempt, token and
 * lease are committed, then `sent`, then the POST goes out; whatever comes back knocks on the one door.
 */
export function createDispatcher(deps: Deps) {
  const { store, knock, registry, leases, breaker, crash, logger, atOnce = 64 } = deps
  const inFlight = new Set<Promise<void>>()

  async function round(): Promise<'more' | 'done'> {
    let more: 'more' | 'done' = 'done'
    for (const provider of registry.all) {
      const room = atOnce - inFlight.size
      if (room > 0 && (await grant(provider, room)) === 'more') more = 'more'
    }
    return more
  }

  async function grant(provider: Provider, room: number): Promise<'more' | 'done'> {
    const { account, descriptor } = provider
    const tokens = new Map<string, string>()
    let more = false
    const outcomes = await store.applyPicked(async (tx) => {
      tokens.clear()
      const slots = await takeSlots(tx, account, room, descriptor)
      more = slots.more
      return slots.ids.map((generationId): Knock => {
        const token = deps.ids.secret()
        const attemptId = deps.ids.uuid()
        tokens.set(attemptId, token)
        return { generationId, cause: 'dispatcher', evidence: { kind: 'slot', attemptId, tokenHash: sha256Hex(token), adapter: descriptor.id, account } }
      })
    })
    await crash('after_slot')
    for (const outcome of outcomes) {
      if (outcome.kind !== 'applied' || outcome.move.decision.move !== 'slot') continue
      const record = outcome.move.decision.after
      const attemptId = record.attempts.at(-1)!.id
      const work = submit(provider, record, attemptId, tokens.get(attemptId)!, outcome.fence)
        .catch((error) => logger.error({ err: error, generationId: record.generation.id }, 'a submit broke off; its lease lapses and another worker looks at it'))
        .finally(() => {
          inFlight.delete(work)
          // A full house has room again.
          if (inFlight.size === atOnce - 1) loop.wake()
        })
      inFlight.add(work)
    }
    return more ? 'more' : 'done'
  }

  async function submit(provider: Provider, record: GenerationRecord, attemptId: string, token: string, fence: number): Promise<void> {
    const { id: generationId, request } = record.generation
    const letGo = leases.hold('generation', generationId, fence)
    // Nobody else looks at it while we hold it, its deadline included.
    const over = new AbortController()
    const timer = setTimeout(() => over.abort(), Math.min(MAX_TIMER, PAST_DEADLINE_MS + record.generation.deadlineAt - record.attempts.at(-1)!.createdAt))
    const tell = (evidence: Evidence, lease?: { fence: number }) => knock({ generationId, evidence, cause: 'submit', lease })
    try {
      // Before `sending`: whoever dies in here has sent nothing, and the next one simply begins again.
      const ready: Prepared = (await provider.makeReady?.(request, over.signal)) ?? { kind: 'ready', request }
      if (ready.kind === 'refused') {
        await tell(await toEvidence(attemptId, ready, request.kind), { fence })
        return await breaker.failed(provider.account, ready.error.code)
      }
      const sending = await tell({ kind: 'sending', attemptId }, { fence })
      // Not ours any more, or cancelled meanwhile: nothing has left this house.
      const mine = sending.kind === 'applied' && sending.move.decision.after.generation.state === 'submitting'
      if (!mine || sending.move.decision.after.attempts.at(-1)?.state !== 'sent') return
      await crash('before_post')
      const answer = await provider.submit(ready.request, { attemptId, attempt: refusals(record) + 1, callbackUrl: deps.callbackUrl(provider.descriptor.id, token), signal: over.signal })
      await crash('after_post')
      const evidence = await toEvidence(attemptId, answer, request.kind)
      const outcome = await tell(evidence, { fence })
      // The lease lapsed while the provider answered. The answer is still the truth about this attempt, and is
      // judged against the record as it is now.
      if (outcome.kind === 'fenced' && evidence.kind !== 'unknown') await tell(evidence)
      await crash('after_answer')
      if (answer.kind === 'accepted') await deps.wakeIfParked(provider.descriptor.id, answer.taskId, generationId)
      if (answer.kind === 'refused') await breaker.failed(provider.account, answer.error.code)
      else if (answer.kind !== 'unknown') await breaker.succeeded(provider.account)
    } finally {
      clearTimeout(timer)
      letGo()
    }
  }

  async function toEvidence(attemptId: string, answer: SubmitOutcome, kind: string): Promise<Evidence> {
    switch (answer.kind) {
      case 'accepted':
        return { kind: 'accepted', attemptId, taskId: answer.taskId, raw: answer.raw }
      case 'finished':
        return { kind: 'finished', attemptId, results: await stageBytes(attemptId, answer.results, kind), raw: answer.raw }
      case 'refused':
        return { kind: 'refused', attemptId, error: answer.error, sent: answer.sent, raw: answer.raw }
      case 'unknown':
        return { kind: 'unknown', attemptId, error: answer.error }
    }
  }

  /** The answer was the file, and nobody can ask for it again: its bytes are safe in our store before anything else. */
  async function stageBytes(attemptId: string, results: ProviderResult[], kind: string): Promise<StagedResult[]> {
    const staged: StagedResult[] = []
    for (const [index, result] of results.entries()) {
      if (!result.final || !('bytes' in result.final)) continue
      const { bytes, mime } = result.final
      const file = await deps.blobs.stage(one(bytes), { maxBytes: MAX_INLINE })
      const stagedKey = `${INCOMING}${kind}/${attemptId}-${index}`
      await deps.blobs.publish(file, stagedKey, { mime })
      staged.push({ stagedKey, mime, title: result.title, durationMs: result.durationMs })
    }
    return staged
  }

  const loop = createLoop('dispatch', 500, round, logger)
  return {
    ...loop,
    /** Takes no new slots; POSTs in flight are waited for, so that no outcome is left unknown by a restart. */
    async stop(): Promise<void> {
      await loop.stop()
      await Promise.allSettled(inFlight)
    },
  }
}

/** How long after its deadline an answer that is due any moment is still waited for. */
const PAST_DEADLINE_MS = 5_000
/** Node's timers overflow beyond it. */
const MAX_TIMER = 2 ** 31 - 1
const MAX_INLINE = 500 * 1024 * 1024

async function* one(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
