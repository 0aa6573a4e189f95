import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../database/testing/test-database.ts'
import { createDiskStore, type DiskStore } from '../storage/disk/disk-store.ts'
import { sweepIncoming } from './incoming.ts'

let database: TestDatabase
let folder: string
let blobs: DiskStore
beforeAll(async () => {
  ;[database, folder] = await Promise.all([createTestDatabase({ max: 2 }), mkdtemp(join(tmpdir(), 'reprise-incoming-'))])
  blobs = createDiskStore({ root: folder })
})
afterAll(async () => {
  await database.close()
  await rm(folder, { recursive: true, force: true })
})

it('answers that nobody will look at go after their time; those of results still to be saved, and other files, stay', async () => {
  const { db } = database
  // Only what the sweep reads matters here: the rest of a record is left out.
  await db.transaction(async (tx) => {
    await tx.query(`set local session_replication_role = replica`)
    for (const [index, state] of ['known', 'stored'].entries()) {
      await tx.query(
        `insert into reprise.results (id, generation_id, role, index, state, staged_key, blob_key, sha256, bytes, mime, next_at)
         values (gen_random_uuid(), gen_random_uuid(), 'final', $1, $2, $3, 'x/y', repeat('a', 64), 1, 'image/png', now())`, [index, state, `incoming/image/${state}-0`])
    }
  })
  for (const key of ['incoming/image/known-0', 'incoming/image/stored-0', 'incoming/image/orphan-0', 'generated-images/someone/picture.png']) {
    await blobs.publish(await blobs.stage(one(), { maxBytes: 10 }), key, { mime: 'image/png' })
  }
  const keys = async () => {
    const found: string[] = []
    for await (const { key } of blobs.list('')) found.push(key)
    return found
  }
  const sweep = (ageMs: number) => sweepIncoming({ db, blobs, olderThanMs: 3_600_000, now: Date.now() + ageMs })
  expect(await sweep(0)).toBe(0)
  expect(await sweep(3_700_000)).toBe(2)
  expect(await keys()).toEqual(['generated-images/someone/picture.png', 'incoming/image/known-0'])
})

async function* one(): AsyncIterable<Uint8Array> {
  yield Buffer.from('x')
}
