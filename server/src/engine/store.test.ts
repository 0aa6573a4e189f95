import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../database/testing/test-database.ts'
import { isLasting } from '../database/transient.ts'
import { createLogger } from '../kernel/logger.ts'
import { createPatientKnock } from './knock.ts'
import { takeSlots } from './rate.ts'
import type { Evidence } from './state.ts'
import { fileOf, problem, snapshot, song } from './testing/records.ts'
import { accept, createNode, LEASE_MS, newAccount, newUser, wallet, type Node } from './testing/nodes.ts'

let test: TestDatabase
let node: Node
let other: Node
beforeAll(async () => {
  test = await createTestDatabase()
  node = createNode(test.url)
  other = createNode(test.url)
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
  await other[Symbol.asyncDispose]()
  await test.close()
})

const logger = createLogger({ level: 'silent' })

/** An account with requests that wait for their slots. */
async function busyAccount(waiting: number): Promise<string> {
  const account = await newAccount(test.db)
  const userId = await newUser(test.db)
  for (let place = 0; place < waiting; place++) await accept(test.db, { userId, account })
  return account
}

async function accepted(tokens = 1_000) {
  const user = await newUser(test.db, tokens)
  const account = await newAccount(test.db)
  const { generation_id: id } = await accept(test.db, { userId: user, account })
  return { id: id!, user, account, attemptId: randomUUID() }
}

type Story = Awaited<ReturnType<typeof accepted>>

const slotOf = ({ account, attemptId }: Story): Evidence => ({ kind: 'slot', attemptId, tokenHash: attemptId.replaceAll('-', ''), adapter: 'suno', account })

async function tell(story: Story, ...evidences: Evidence[]) {
  for (const evidence of evidences) await node.store.apply({ generationId: story.id, evidence, cause: 'test' })
  return look(story)
}

async function look({ id }: { id: string }) {
  return (await node.store.read([id])).records[0]!
}

async function saving(): Promise<Story> {
  const story = await accepted()
  const { attemptId } = story
  await tell(
    story, slotOf(story), { kind: 'sending', attemptId }, { kind: 'accepted', attemptId, taskId: `t-${attemptId}` },
    { kind: 'snapshot', attemptId, askedAt: 0, snapshot: snapshot('succeeded', [song('a', 'u0'), song('b', 'u1')]) },
  )
  return story
}

const violations = async () => (await test.db.query('select * from reprise.ledger_violations')).rows

describe('accepting', () => {
  it('a double click of 20 equal requests at once is one generation and one hold', async () => {
    const userId = await newUser(test.db)
    const account = await newAccount(test.db)
    const nodes = [node, other]
    const answers = await Promise.all(Array.from({ length: 20 }, (_, place) => accept(nodes[place % 2]!.db, { userId, account, key: 'k' })))
    expect(answers.filter(({ outcome }) => outcome === 'accepted')).toHaveLength(1)
    expect(answers.filter(({ outcome }) => outcome === 'replayed')).toHaveLength(19)
    expect(new Set(answers.map(({ generation_id }) => generation_id)).size).toBe(1)
    expect(await wallet(test.db, userId)).toEqual({ available: 990, held: 10 })
    expect((await test.db.query("select from reprise.ledger_transfers where user_id = $1 and kind = 'hold'", [userId])).rowCount).toBe(1)
  })

  it('one that does not wait for its twin hears that it is in progress', async () => {
    const userId = await newUser(test.db)
    const account = await newAccount(test.db)
    await node.db.transaction(async (tx) => {
      expect((await accept(tx, { userId, account, key: 'k' })).outcome).toBe('accepted')
      expect(await accept(other.db, { userId, account, key: 'k', waitForTwin: false })).toMatchObject({ outcome: 'in_progress', generation_id: null })
    })
    expect((await accept(other.db, { userId, account, key: 'k', waitForTwin: false })).outcome).toBe('replayed')
  })

  it('a key used for another body is refused, for another user or without a key it is new', async () => {
    const [userId, stranger] = [await newUser(test.db), await newUser(test.db)]
    const account = await newAccount(test.db)
    expect((await accept(test.db, { userId, account, key: 'k', body: 'one' })).outcome).toBe('accepted')
    expect((await accept(test.db, { userId, account, key: 'k', body: 'two' })).outcome).toBe('key_reused')
    expect((await accept(test.db, { userId: stranger, account, key: 'k', body: 'two' })).outcome).toBe('accepted')
    expect((await accept(test.db, { userId, account, body: 'one' })).outcome).toBe('accepted')
    expect((await accept(test.db, { userId, account, body: 'one' })).outcome).toBe('accepted')
  })

  it('with too few tokens nothing is written, and the same key may be tried again after a top-up', async () => {
    const userId = await newUser(test.db, 9)
    const account = await newAccount(test.db)
    expect(await accept(test.db, { userId, account, key: 'k' })).toMatchObject({ outcome: 'insufficient', required: 10, available: 9 })
    expect(await wallet(test.db, userId)).toEqual({ available: 9, held: 0 })
    expect((await test.db.query('select from reprise.generations where user_id = $1', [userId])).rowCount).toBe(0)
    await test.db.query("insert into reprise.ledger_transfers (user_id, kind, from_account, to_account, amount, reason, actor) values ($1, 'grant', 'grants', 'available', 1, 'more', 'operator')", [userId])
    expect((await accept(test.db, { userId, account, key: 'k' })).outcome).toBe('accepted')
  })

  it('a start that would come after the deadline is refused with a time to come back, and nothing is written', async () => {
    const userId = await newUser(test.db)
    const account = await newAccount(test.db)
    for (let place = 0; place < 11; place++) {
      expect((await accept(test.db, { userId, account, deadlineSec: 10, startsPerSec: 1 })).outcome).toBe('accepted')
    }
    const refused = await accept(test.db, { userId, account, deadlineSec: 10, startsPerSec: 1 })
    expect(refused.outcome).toBe('queue_full')
    expect(refused.retry_after_sec).toBeGreaterThan(0)
    expect(await wallet(test.db, userId)).toEqual({ available: 1_000 - 110, held: 110 })
    const newcomer = await newUser(test.db)
    expect((await accept(test.db, { userId: newcomer, account, deadlineSec: 10, startsPerSec: 1 })).outcome).toBe('accepted')
  })

  it('requests at once never spend more than there is', async () => {
    const userId = await newUser(test.db, 35)
    const account = await newAccount(test.db)
    const answers = await Promise.all(Array.from({ length: 12 }, (_, place) => accept([node, other][place % 2]!.db, { userId, account, key: `k${place}` })))
    expect(answers.filter(({ outcome }) => outcome === 'accepted')).toHaveLength(3)
    expect(await wallet(test.db, userId)).toEqual({ available: 5, held: 30 })
  })

  it('users take turns: a burst of one does not make another wait behind it', async () => {
    const account = await newAccount(test.db)
    const users: string[] = []
    for (let place = 0; place < 5; place++) users.push(await newUser(test.db))
    for (const userId of users) for (let place = 0; place < 10; place++) await accept(test.db, { userId, account })
    const { rows } = await test.db.query<{ user_id: string }>('select user_id from reprise.generations where account = $1 order by turn, created_at', [account])
    for (let round = 0; round < 10; round++) expect(new Set(rows.slice(round * 5, round * 5 + 5).map(({ user_id }) => user_id)).size).toBe(5)
  })
})

describe('the one writer', () => {
  it('evidence told at once by two nodes is settled once', async () => {
    const story = await saving()
    const [first, second] = (await look(story)).results
    const knocks = [first!, second!].flatMap((result) => [node, other].flatMap(({ store }) => [1, 2, 3].map(() =>
      store.apply({ generationId: story.id, cause: 'test', evidence: { kind: 'stored', resultId: result.id, file: fileOf(result.sourceUrl!) } }),
    )))
    await Promise.all(knocks)
    expect((await look(story)).generation).toMatchObject({ state: 'complete', missing: 0 })
    expect(await wallet(test.db, story.user)).toEqual({ available: 990, held: 0 })
    expect(await violations()).toEqual([])
  })

  it('one knock that fails does not take down the others of its batch', async () => {
    const poisoned = new Set<string>()
    await using fragile = createNode(test.url, 'fragile', [async (_tx, moves) => {
      if (moves.some(({ decision }) => poisoned.has(decision.after.generation.id))) throw new Error('this one cannot be written')
    }])
    const stories = [await accepted(), await accepted(), await accepted()]
    poisoned.add(stories[1]!.id)
    const ends = await Promise.allSettled(stories.map(({ id }) => fragile.store.apply({ generationId: id, cause: 'test', evidence: { kind: 'cancel', by: 'user' } })))
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await Promise.all(stories.map(async (story) => (await look(story)).generation.state))).toEqual(['cancelled', 'queued', 'cancelled'])
    expect(await violations()).toEqual([])
  })

  it('money and state go together: a connection killed before the commit leaves neither', async () => {
    const story = await accepted()
    node.dieBeforeCommit()
    await expect(node.store.apply({ generationId: story.id, cause: 'test', evidence: { kind: 'cancel', by: 'user' } })).rejects.toThrow()
    expect((await look(story)).generation.state).toBe('queued')
    expect(await wallet(test.db, story.user)).toEqual({ available: 990, held: 10 })
  })

  it('what was found out is offered again when the answer to the commit was lost, and counts once', async () => {
    const { knock } = createPatientKnock({ store: node.store, isLasting, logger })
    const story = await saving()
    for (const result of (await look(story)).results) {
      node.loseCommit()
      const told = await knock({ generationId: story.id, cause: 'test', evidence: { kind: 'stored', resultId: result.id, file: fileOf(result.sourceUrl!) } })
      expect(told.kind).toBe('applied')
    }
    expect((await look(story)).generation.state).toBe('complete')
    expect(await wallet(test.db, story.user)).toEqual({ available: 990, held: 0 })
    expect(await violations()).toEqual([])
  })

  it('the lease under which a POST goes out survives that `sending` was told twice', async () => {
    const story = await accepted()
    const [slot] = await node.store.applyPicked(async () => [{ generationId: story.id, cause: 'test', evidence: slotOf(story) }])
    const fence = slot?.kind === 'applied' ? slot.fence : -1
    node.loseCommit()
    await createPatientKnock({ store: node.store, isLasting, logger }).knock({ generationId: story.id, cause: 'test', lease: { fence }, evidence: { kind: 'sending', attemptId: story.attemptId } })
    const { rows } = await test.db.query<{ held: boolean }>('select lease_until > reprise.now() as held from reprise.generations where id = $1', [story.id])
    expect(rows).toEqual([{ held: true }])
  })

  it('a stale fence writes nothing', async () => {
    const story = await saving()
    const { rows } = await test.db.query<{ id: string; fence: number }>("select id, fence from reprise.claim_results('old', 100, 10000) where generation_id = $1", [story.id])
    await test.db.query("update reprise.results set lease_until = null where generation_id = $1", [story.id])
    await test.db.query("select from reprise.claim_results('new', 100, 10000)")
    for (const { id, fence } of rows) {
      const told = await node.store.apply({ generationId: story.id, cause: 'stale', evidence: { kind: 'stored', resultId: id, file: fileOf('old') }, resultLease: { resultId: id, fence } })
      expect(told.kind).toBe('fenced')
    }
    expect(new Set((await look(story)).results.map(({ state }) => state))).toEqual(new Set(['known']))
    expect((await test.db.query("select from reprise.events where generation_id = $1 and cause = 'stale'", [story.id])).rowCount).toBe(0)
  })

  it('what a provider answers is kept although the database cannot hold every character of it', async () => {
    const story = await accepted()
    const { attemptId } = story
    const odd = 'nul \0, half \ud83d, back\\u0000slash'
    await tell(story, slotOf(story), { kind: 'sending', attemptId }, { kind: 'accepted', attemptId, taskId: `t-${attemptId}` }, {
      kind: 'snapshot', attemptId, askedAt: 0, snapshot: { ...snapshot('succeeded', [song('a', 'u0', { title: odd }), song('b', 'u1')]), raw: { [odd]: odd } },
    })
    expect((await look(story)).results[0]).toMatchObject({ state: 'known', title: 'nul , half \ufffd, back\\u0000slash' })
  })

  it('a failure after the tokens were held gives all of them back, once', async () => {
    const story = await accepted()
    const { attemptId } = story
    const refused: Evidence = { kind: 'refused', attemptId, sent: true, error: problem('content_policy') }
    await tell(story, slotOf(story), { kind: 'sending', attemptId }, refused, refused, { kind: 'deadline' })
    expect((await look(story)).generation).toMatchObject({ state: 'failed', errorCode: 'content_policy' })
    expect(await wallet(test.db, story.user)).toEqual({ available: 1_000, held: 0 })
  })

  it('final states and settled tokens are guarded by the database too', async () => {
    const story = await saving()
    await tell(story, { kind: 'deadline' })
    await expect(test.db.query("update reprise.generations set state = 'complete' where id = $1", [story.id])).rejects.toThrow(/final state/)
    await expect(test.db.query("update reprise.hold_items set state = 'captured' where generation_id = $1", [story.id])).rejects.toThrow(/already released/)
    await expect(test.db.query("update reprise.results set settled = 'kept' where generation_id = $1", [story.id])).rejects.toThrow(/already settled/)
    const open = await accepted()
    await expect(test.db.query('update reprise.generations set next_at = null where id = $1', [open.id])).rejects.toThrow(/open_is_armed/)
  })
})

describe('claims', () => {
  it('a due row is claimed by one node only, again when its lease has lapsed, and not while it is held', async () => {
    const story = await accepted()
    await test.db.query("update reprise.generations set next_at = reprise.now() where id = $1", [story.id])
    const claim = async (from: Node) => (await from.db.query<{ id: string }>('select id from reprise.claim_generations($1, 100, $2)', [from.name, LEASE_MS])).rows.filter(({ id }) => id === story.id).length
    expect((await Promise.all([claim(node), claim(other), claim(node), claim(other)])).reduce((sum, count) => sum + count)).toBe(1)
    expect(await claim(other)).toBe(0)
    await other.db.setClockOffset(LEASE_MS + 1_000)
    expect(await claim(other)).toBe(1)
    await other.db.setClockOffset(0)
  })

  it('a claim takes no more rows than asked for', async () => {
    const stories = await Promise.all(Array.from({ length: 6 }, saving))
    const ids = stories.map(({ id }) => id)
    await test.db.query('update reprise.generations set next_at = reprise.now(), lease_until = null where id = any ($1)', [ids])
    expect((await test.db.query("select from reprise.claim_generations('one', 2, 10000)")).rowCount).toBe(2)
    expect((await test.db.query("select from reprise.claim_results('one', 3, 10000)")).rowCount).toBe(3)
  })
})

describe('slots', () => {
  it('two dispatchers together never start more than the rate allows in any window', async () => {
    const account = await busyAccount(3)
    const limits = { rate: { count: 5, windowMs: 400 }, concurrency: null }
    const granted: number[] = []
    const until = performance.now() + 2_000
    const dispatcher = async ({ db }: Node) => {
      while (performance.now() < until) {
        const times = await db.transaction(async (tx) => {
          const { length } = (await takeSlots(tx, account, 3, limits)).ids
          const { rows } = await tx.query<{ grants: Date[] }>('select grants from reprise.provider_accounts where account = $1', [account])
          return length ? rows[0]!.grants.slice(-length) : []
        })
        granted.push(...times.map((time) => time.getTime()))
      }
    }
    await Promise.all([dispatcher(node), dispatcher(node), dispatcher(other), dispatcher(other)])
    for (const start of granted) expect(granted.filter((time) => time >= start && time < start + limits.rate.windowMs).length).toBeLessThanOrEqual(5)
    // Nor are they withheld: two full windows at the very least.
    expect(granted.length).toBeGreaterThanOrEqual(10)
  })

  it('a grant that waited long for its turn is booked for the moment when it was given', async () => {
    const account = await busyAccount(2)
    const limits = { rate: { count: 2, windowMs: 10_000 }, concurrency: null }
    let late: Promise<void> | undefined
    let held = new Date(0)
    await node.db.transaction(async (tx) => {
      await tx.query('select from reprise.provider_accounts where account = $1 for update', [account])
      late = other.db.transaction(async (second) => {
        await second.query('select now()')
        await takeSlots(second, account, 64, limits)
      })
      await new Promise((done) => setTimeout(done, 100))
      held = (await tx.query<{ now: Date }>('select clock_timestamp() as now')).rows[0]!.now
    })
    await late
    const { rows } = await test.db.query<{ grants: Date[] }>('select grants from reprise.provider_accounts where account = $1', [account])
    expect(rows[0]!.grants).toHaveLength(2)
    for (const grant of rows[0]!.grants) expect(grant.getTime()).toBeGreaterThanOrEqual(held.getTime())
  })

  it('no more tasks run at once than the account allows, however many nodes give out slots', async () => {
    const account = await busyAccount(8)
    const limits = { rate: null, concurrency: 2 }
    const grant = ({ store }: Node) => store.applyPicked(async (tx) => {
      const { ids } = await takeSlots(tx, account, 64, limits)
      return ids.map((id) => {
        const attemptId = randomUUID()
        return { generationId: id, cause: 'test', evidence: { kind: 'slot', attemptId, tokenHash: attemptId.replaceAll('-', ''), adapter: 'suno', account } }
      })
    })
    await Promise.all([grant(node), grant(other), grant(node), grant(other)])
    expect((await test.db.query('select from reprise.attempts where account = $1', [account])).rowCount).toBe(2)
  })

  it('what the account itself has told of its limit counts, up and down', async () => {
    const account = await busyAccount(8)
    const free = async () => (await test.db.transaction((tx) => takeSlots(tx, account, 64, { rate: null, concurrency: 2 }))).ids.length
    expect(await free()).toBe(2)
    for (const told of [5, 1]) {
      await test.db.query('update reprise.provider_accounts set concurrency = $2 where account = $1', [account, told])
      expect(await free()).toBe(told)
    }
  })

  it('a task that is never heard of again gives its place back when its generation has ended', async () => {
    const story = await accepted()
    const { account, attemptId } = story
    await accept(test.db, { userId: await newUser(test.db), account })
    const free = async () => (await test.db.transaction((tx) => takeSlots(tx, account, 64, { rate: null, concurrency: 1 }))).ids.length
    await tell(story, slotOf(story), { kind: 'sending', attemptId }, { kind: 'accepted', attemptId, taskId: `t-${attemptId}` })
    expect(await free()).toBe(0)
    const { generation, attempts } = await tell(story, { kind: 'deadline' })
    expect([generation.state, attempts[0]!.state]).toEqual(['timed_out', 'accepted'])
    expect(await free()).toBe(1)
  })

  it('an attempt whose outcome nobody awaits any more gives its place back: who is asked again is not in their own way', async () => {
    const story = await accepted()
    const { account, attemptId } = story
    const free = async () => (await test.db.transaction((tx) => takeSlots(tx, account, 64, { rate: null, concurrency: 1 }))).ids.length
    await tell(story, slotOf(story), { kind: 'sending', attemptId }, { kind: 'lease_lost', repeatable: true })
    expect(await free()).toBe(0)
    const { generation, attempts } = await tell(story, { kind: 'grace_over', callbacksWork: false, repeatable: true })
    expect([generation.state, attempts[0]!.state]).toEqual(['submitting', 'unknown'])
    expect(await free()).toBe(1)
  })

  it('while the breaker is open no slot is given', async () => {
    const account = await busyAccount(1)
    await test.db.query("update reprise.provider_accounts set breaker_until = reprise.now() + interval '1 minute' where account = $1", [account])
    const ids = async () => (await test.db.transaction((tx) => takeSlots(tx, account, 64, { rate: { count: 5, windowMs: 1_000 }, concurrency: null }))).ids
    expect(await ids()).toHaveLength(0)
    await test.db.query('update reprise.provider_accounts set breaker_until = null where account = $1', [account])
    expect(await ids()).toHaveLength(1)
  })
})
