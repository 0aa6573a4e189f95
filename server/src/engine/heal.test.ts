import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../database/pool.ts'
import { createTestDatabase, type TestDatabase } from '../database/testing/test-database.ts'
import { systemIds } from '../kernel/ids.ts'
import { createLogger } from '../kernel/logger.ts'
import { createDiskStore } from '../storage/disk/disk-store.ts'
import { createHealer } from './heal.ts'

describe('looking after a stored file', () => {
  let database: TestDatabase
  let root: string
  beforeAll(async () => {
    database = await createTestDatabase()
    root = await mkdtemp(join(tmpdir(), 'reprise-heal-'))
  })
  afterAll(async () => {
    await database.close()
    await rm(root, { recursive: true, force: true })
  })

  it('reads it once for everybody who waits, and again for who asks later', async () => {
    const CALLERS = 20
    const store = createDiskStore({ root })
    const staged = await store.stage(new Blob(['a song']).stream(), { maxBytes: 100 })
    await store.publish(staged, 'tracks-audio/song.mp3', { mime: 'audio/mpeg' })
    await database.db.query(
      `insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime) values ('tracks-audio', 'song.mp3', 'tracks-audio/song.mp3', gen_random_uuid(), $1, $2, 'audio/mpeg')`,
      [staged.sha256, staged.bytes])
    let reads = 0
    let asked = 0
    let allAsked!: () => void
    const gate = new Promise<void>((resolve) => (allAsked = resolve))
    const blobs: typeof store = { ...store, async get(...args) {
      reads++
      await gate
      return store.get(...args)
    } }
    const db: Database = { ...database.db, async query(...args: [any, any?]) {
      const answer = await database.db.query(...args)
      if (++asked === CALLERS) allAsked()
      return answer as any
    } }
    const heal = createHealer({ db, blobs, obtain: () => Promise.reject(new Error('nothing to fetch')), storeIsThere: async () => undefined, ids: systemIds, logger: createLogger({ level: 'silent' }) })
    const found = await Promise.all(Array.from({ length: CALLERS }, () => heal('tracks-audio/song.mp3')))
    expect(new Set(found.map((one) => one?.health))).toEqual(new Set(['whole']))
    expect(reads).toBe(1)
    await heal('tracks-audio/song.mp3')
    expect(reads).toBe(2)
  })
})
