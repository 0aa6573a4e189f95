import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createDiskStore, type DiskStore } from './disk/disk-store.ts'
import { createReadPicture } from './read-picture.ts'

const PNG = Buffer.from('89504e470d0a1a0a0000', 'hex')
let folder: string
let blobs: DiskStore
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reprise-pictures-'))
  blobs = createDiskStore({ root: folder })
  for (const [key, bytes] of [['uploads/me/a.jpg', PNG], ['uploads/me/page.png', Buffer.from('<html>')], ['uploads/me/large.png', Buffer.concat([PNG, Buffer.alloc(100)])], ['tracks/me/a.png', PNG]] as const) {
    await blobs.publish(await blobs.stage(one(bytes), { maxBytes: 1_000 }), key, { mime: 'image/png' })
  }
})
afterAll(() => rm(folder, { recursive: true, force: true }))

it('a picture is read whole and called what its bytes are; what is none, too large, elsewhere or a trick is not read', async () => {
  const read = createReadPicture({ blobs, buckets: ['uploads'], maxBytes: 50 })
  expect(await read({ bucket: 'uploads', path: 'me/a.jpg' })).toEqual({ bytes: PNG, mime: 'image/png' })
  for (const path of ['me/page.png', 'me/large.png', 'me/none.png', '../tracks/me/a.png', '', 'me/\u0000.png']) expect(await read({ bucket: 'uploads', path }), path).toBeNull()
  expect(await read({ bucket: 'tracks', path: 'me/a.png' })).toBeNull()
})

async function* one(bytes: Buffer): AsyncIterable<Uint8Array> {
  yield bytes
}
