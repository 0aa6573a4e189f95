import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import sharp from 'sharp'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../database/testing/test-database.ts'
import { createDiskStore, type DiskStore } from '../../storage/disk/disk-store.ts'
import { createThumbnails } from './thumbnails.ts'

describe('small copies of pictures', () => {
  let database: TestDatabase
  let folder: string
  let blobs: DiskStore
  let picture: Buffer
  let now = Date.now()
  const lines: string[] = []
  /** Keys that cannot be read, for a moment or for longer. */
  const broken = new Set<string>()
  const read: string[] = []
  let round: ReturnType<typeof createThumbnails>

  beforeAll(async () => {
    database = await createTestDatabase()
    folder = await mkdtemp(join(tmpdir(), 'reprise-thumbnails-'))
    blobs = createDiskStore({ root: folder })
    picture = await sharp({ create: { width: 600, height: 400, channels: 3, background: '#383' } }).png().toBuffer()
  })
  beforeEach(async () => {
    await database.db.query('delete from public.generation_jobs')
    for (const list of [lines, read]) list.length = 0
    broken.clear()
    round = createThumbnails({
      db: database.db, schema: 'public', clock: { now: () => now }, logger: pino({ level: 'warn' }, { write: (line) => void lines.push(line) }),
      urlOf: async (bucket, path) => `https://reprise.example/${bucket}/${path}`,
      blobs: { ...blobs, async get(key, range) {
        read.push(key)
        if (broken.has(key)) throw new Error('input/output error')
        return blobs.get(key, range)
      } },
    })
  })
  afterAll(async () => {
    await database.close()
    await rm(folder, { recursive: true, force: true })
  })

  async function* one(bytes: Buffer) {
    yield bytes
  }
  async function stored(bytes = picture): Promise<{ id: string; key: string; imageUrl: string }> {
    const [user, id] = [randomUUID(), randomUUID()]
    const path = `${user}/${id}.png`
    const key = `generated-images/${path}`
    const imageUrl = `https://reprise.example/${key}`
    const staged = await blobs.stage(one(bytes), { maxBytes: 1e7 })
    await blobs.publish(staged, key, { mime: 'image/png' })
    await database.db.query(`insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime) values ('generated-images', $1, $2, $3, $4, $5, 'image/png')`, [path, key, user, staged.sha256, staged.bytes])
    await database.db.query('with j as (insert into public.generation_jobs (user_id) values ($1) returning id) insert into public.generation_tasks (id, job_id, card_index, card_type, status, image_url, storage_path, generation_id) select $2, j.id, 0, $3, $4, $5, $6, gen_random_uuid() from j',
      [user, id, 'cover', 'completed', imageUrl, path])
    return { id, key, imageUrl }
  }
  const smallOf = async ({ id }: { id: string }) => (await database.db.query<{ url: string | null }>('select thumbnail_url as url from public.generation_tasks where id = $1', [id])).rows[0]!.url
  const whole = async () => {
    for (let rounds = 0; (await round()) === 'more'; rounds++) expect(rounds).toBeLessThan(20)
  }

  it('pictures that cannot be read hold back nobody else’s, are told of once, and have their turn again later', async () => {
    const bad = await Promise.all(Array.from({ length: 13 }, () => stored()))
    for (const { key } of bad) broken.add(key)
    const good = await Promise.all(Array.from({ length: 5 }, () => stored()))
    for (let n = 0; n < 3; n++) await whole()
    for (const each of good) expect(await smallOf(each)).toMatch(/-480\.webp$/)
    expect(lines).toHaveLength(bad.length)
    expect(read.length).toBe(bad.length + good.length)
    now += 11 * 60_000
    await whole()
    await whole()
    expect(lines).toHaveLength(bad.length)
    broken.clear()
    now += 11 * 60_000
    await whole()
    await whole()
    for (const each of bad) expect(await smallOf(each)).toMatch(/-480\.webp$/)
  })

  it('one that is missing or damaged for a while gets its small copy afterwards, not the picture itself for good', async () => {
    const [missing, damaged] = [await stored(), await stored()]
    await blobs.delete(missing.key)
    await blobs.delete(damaged.key)
    const put = async (key: string, bytes: Buffer) => blobs.publish(await blobs.stage(one(bytes), { maxBytes: 1e7 }), key, { mime: 'image/png' })
    await put(damaged.key, picture.subarray(0, 100))
    await whole()
    expect([await smallOf(missing), await smallOf(damaged)]).toEqual([null, null])
    await blobs.delete(damaged.key)
    for (const { key } of [missing, damaged]) await put(key, picture)
    now += 11 * 60_000
    await whole()
    for (const each of [missing, damaged]) expect(await smallOf(each)).toMatch(/-480\.webp$/)
  })

  it('what was stored and is no picture is shown itself', async () => {
    const odd = await stored(Buffer.from('not a picture'))
    await whole()
    expect(await smallOf(odd)).toBe(odd.imageUrl)
  })
})
