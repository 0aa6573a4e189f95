import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../database/testing/test-database.ts'
import { systemIds } from '../../kernel/ids.ts'
import { createDiskStore, type DiskStore } from '../../storage/disk/disk-store.ts'
import { sweepUploads } from './unnamed-uploads.ts'
import { createUploads, type Upload, type Uploads } from './uploads.ts'

const DAY_MS = 86_400_000

describe('kept uploads', () => {
  let database: TestDatabase
  let folder: string
  let blobs: DiskStore
  let uploads: Uploads
  let picture: Buffer

  beforeAll(async () => {
    database = await createTestDatabase()
    folder = await mkdtemp(join(tmpdir(), 'reprise-uploads-'))
    blobs = createDiskStore({ root: folder })
    uploads = createUploads({ db: database.db, schema: 'public', blobs, ids: systemIds })
    picture = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#383' } }).png().toBuffer()
  })
  afterAll(async () => {
    await database.close()
    await rm(folder, { recursive: true, force: true })
  })

  const query = (text: string, values?: unknown[]) => database.db.query(text, values)
  async function* body() {
    yield picture
  }
  const receive = (user: string) => uploads.receive(user, body(), AbortSignal.timeout(20_000))
  const urlOf = ({ id }: Upload) => `https://reprise.example/api/uploads/images/${id}`
  const recorded = async (user: string) => (await query('select path from reprise.files where user_id = $1', [user])).rows.map(({ path }) => path)
  const there = async ({ path }: Upload) => (await blobs.head(`image-uploads/${path}`)) !== null
  const old = async (...all: Upload[]) => {
    for (const { path } of all) {
      await query(`update reprise.files set created_at = reprise.now() - interval '8 days' where path = $1`, [path])
      await utimes(join(folder, 'image-uploads', path), new Date(Date.now() - 8 * DAY_MS), new Date(Date.now() - 8 * DAY_MS))
    }
  }
  const sweep = (store: Pick<DiskStore, 'list' | 'head' | 'delete'> = blobs) => sweepUploads({ db: database.db, schema: 'public', blobs: store, now: Date.now() })
  const generation = (user: string, path: string) => query(
    `insert into reprise.generations (id, user_id, provider, account, kind, request, cost, result_count, next_at, created_at, deadline_at, watch_until, changed_at)
     values ($1, $2, 'google', 'google/x', 'image', $3, 1, 1, reprise.now(), reprise.now(), reprise.now(), reprise.now(), reprise.now())`,
    [randomUUID(), user, JSON.stringify({ kind: 'image', prompt: 'x', options: { images: [{ bucket: 'image-uploads', path }] } })])
  const job = (user: string, images: object[], style: string | null = null) =>
    query('insert into public.generation_jobs (user_id, product_images, style_source_image_url) values ($1, $2, $3)', [user, JSON.stringify(images), style])

  it('a user who has kept 200 without a job keeps no more of them: a wrong field, not an error; a job that names one makes room', async () => {
    const user = randomUUID()
    const first = await receive(user)
    await query(
      `insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime)
       select 'image-uploads', $1 || '/' || gen_random_uuid() || '.jpg', 'k', $1::uuid, 's', 1000, 'image/jpeg' from generate_series(1, 199)`, [user])
    await expect(receive(user)).rejects.toMatchObject({ code: 'validation_failed', fields: [{ path: 'image', rule: 'too_many_uploads' }] })
    expect(await recorded(user)).toHaveLength(200)
    await receive(randomUUID())
    await generation(user, first.path)
    await receive(user)
    await expect(receive(user)).rejects.toMatchObject({ code: 'validation_failed' })
  })

  it('nor does one who has kept 500 MB', async () => {
    const user = randomUUID()
    await receive(user)
    await query('update reprise.files set bytes = $2 where user_id = $1', [user, 500 * 2 ** 20])
    await expect(receive(user)).rejects.toMatchObject({ code: 'validation_failed', fields: [{ path: 'image' }] })
  })

  it('what nothing named for a week is deleted; what a generation or a job names never is, in whatever form', async () => {
    const user = randomUUID()
    const [unnamed, young, ofGeneration, ofJob, ofTeam, asStyle] = [await receive(user), await receive(user), await receive(user), await receive(user), await receive(user), await receive(user)]
    await old(unnamed, ofGeneration, ofJob, ofTeam, asStyle)
    await generation(user, ofGeneration.path)
    await job(user, [{ url: urlOf(ofJob), name: 'a', type: 'product' }])
    await job(user, [{ url: `/storage/v1/object/sign/image-uploads/${ofTeam.path.toUpperCase()}?x=1` }])
    await job(user, [], urlOf(asStyle))
    await sweep()
    expect((await recorded(user)).sort()).toEqual([young, ofGeneration, ofJob, ofTeam, asStyle].map(({ path }) => path).sort())
    expect(await Promise.all([unnamed, young, ofGeneration, ofJob, ofTeam, asStyle].map(there))).toEqual([false, true, true, true, true, true])
  })

  it('a sweep that dies between record and bytes is finished by the next; two at once are as good as one', async () => {
    const user = randomUUID()
    const [gone, stays] = [await receive(user), await receive(user)]
    await old(gone)
    await expect(sweep({ ...blobs, delete: () => Promise.reject(new Error('died here')) })).rejects.toThrow('died here')
    expect([await recorded(user), await there(gone)]).toEqual([[stays.path], true])
    await Promise.all([sweep(), sweep()])
    expect([await there(gone), await there(stays)]).toEqual([false, true])
  })

  it('bytes whose record was never written go too, but not while it may be under way', async () => {
    const user = randomUUID()
    const [dead, alive] = [await receive(user), await receive(user)]
    await old(dead)
    await query('delete from reprise.files where user_id = $1', [user])
    await writeFile(join(folder, 'image-uploads', 'nobody.jpg'), picture)
    await sweep()
    expect([await there(dead), await there(alive)]).toEqual([false, true])
  })

  it('one that a request names at this very moment stays: the sweep waits for it and looks again', async () => {
    const user = randomUUID()
    const wanted = await receive(user)
    await old(wanted)
    let sweeping: Promise<unknown> | undefined
    await database.db.transaction(async (tx) => {
      const naming = createUploads({ db: tx, schema: 'public', blobs, ids: systemIds })
      expect(await naming.use(user, wanted.id)).toEqual({ bucket: 'image-uploads', path: wanted.path })
      sweeping = sweep()
      await expect.poll(async () => (await query(`select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%delete from reprise.files%' and datname = current_database()`)).rowCount).toBe(1)
    })
    await sweeping
    expect([await recorded(user), await there(wanted)]).toEqual([[wanted.path], true])
    expect(await uploads.use(randomUUID(), wanted.id)).toBeNull()
    await query(`update reprise.files set used_at = reprise.now() - interval '8 days' where user_id = $1`, [user])
    await sweep()
    expect(await uploads.use(user, wanted.id)).toBeNull()
  })
})
