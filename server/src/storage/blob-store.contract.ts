import { createHash, randomBytes } from 'node:crypto'
import { access, writeFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { StageTooLarge, type BlobStore } from './blob-store.ts'
import { BadKey } from './key.ts'

const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const chunks = (...parts: (string | Uint8Array)[]) => Readable.from(parts.map((part) => Buffer.from(part)))
const gone = (path: string) => access(path).then(() => false, () => true)

/** What every store promises. `createStore` gives an empty store and a way to clean up. */
export function blobStoreContract(
  name: string,
  createStore: () => Promise<{ store: BlobStore; close(): Promise<void> }>,
): void {
  describe(`blob store contract: ${name}`, () => {
    let store: BlobStore
    let close: () => Promise<void>
    let count = 0
    const freshKey = (extension = 'bin') => `bucket/user/${++count}.${extension}`

    beforeAll(async () => {
      ;({ store, close } = await createStore())
    })
    afterAll(() => close())

    async function put(key: string, bytes: Uint8Array | string): Promise<'published' | 'exists'> {
      const staged = await store.stage(chunks(bytes), { maxBytes: 1e8 })
      const outcome = await store.publish(staged, key, { mime: 'application/octet-stream' })
      await staged.discard()
      return outcome
    }
    async function read(key: string, range?: { start: number; end: number }): Promise<Buffer | null> {
      const stream = await store.get(key, range)
      return stream && buffer(stream)
    }
    async function keys(prefix: string): Promise<string[]> {
      const found: string[] = []
      for await (const { key } of store.list(prefix)) found.push(key)
      return found.sort()
    }

    it('gives back byte for byte what was staged, with its true size and hash', async () => {
      const bytes = randomBytes(1_500_001)
      const parts = [bytes.subarray(0, 1), bytes.subarray(1, 700_000), bytes.subarray(700_000)]
      const staged = await store.stage(chunks(...parts), { maxBytes: bytes.length })
      expect(staged).toMatchObject({ bytes: bytes.length, sha256: sha(bytes) })
      const key = freshKey()
      expect(await store.publish(staged, key, { mime: 'audio/mpeg' })).toBe('published')
      expect((await read(key))!.equals(bytes)).toBe(true)
      expect(await store.head(key)).toMatchObject({ bytes: bytes.length, modifiedAt: expect.any(Date) })
    })

    it('shows nobody a staged file before it is published', async () => {
      const before = await keys('')
      const staged = await store.stage(chunks('hidden'), { maxBytes: 100 })
      expect(await keys('')).toEqual(before)
      await staged.discard()
      expect(await gone(staged.path)).toBe(true)
      await staged.discard()
    })

    it('never overwrites: a taken key keeps its first bytes', async () => {
      const key = freshKey()
      expect(await put(key, 'first')).toBe('published')
      expect(await put(key, 'second')).toBe('exists')
      expect(await put(key, 'first')).toBe('exists')
      expect((await read(key))!.toString()).toBe('first')
    })

    it('lets exactly one of many simultaneous publishers win, and its bytes are whole', async () => {
      const key = freshKey()
      const files = Array.from({ length: 12 }, (_, index) => Buffer.alloc(200_000, index))
      const outcomes = await Promise.all(files.map((bytes) => put(key, bytes)))
      expect(outcomes.filter((outcome) => outcome === 'published')).toHaveLength(1)
      expect((await read(key))!.equals(files[outcomes.indexOf('published')]!)).toBe(true)
    })

    it('stores an empty file as an empty file', async () => {
      const key = freshKey()
      await put(key, '')
      expect(await store.head(key)).toMatchObject({ bytes: 0 })
      expect(await read(key)).toHaveLength(0)
    })

    it('refuses one byte too many, and keeps nothing of it', async () => {
      const ok = await store.stage(chunks('12345'), { maxBytes: 5 })
      await ok.discard()
      await expect(store.stage(chunks('123', '456'), { maxBytes: 5 })).rejects.toBeInstanceOf(StageTooLarge)
    })

    it('passes on the error of a source that breaks', async () => {
      const broken = (async function* () {
        yield Buffer.from('half')
        throw new Error('the line broke')
      })()
      await expect(store.stage(broken, { maxBytes: 100 })).rejects.toThrow('the line broke')
    })

    it('stops at once when aborted, even while the source is silent', async () => {
      const silent = new Readable({ read() {} })
      silent.push('x')
      const controller = new AbortController()
      const staging = store.stage(silent, { maxBytes: 100, signal: controller.signal })
      setTimeout(() => controller.abort(new Error('enough')), 20)
      await expect(staging).rejects.toThrow('enough')
      expect(silent.destroyed).toBe(true)
      await expect(store.stage(chunks('x'), { maxBytes: 9, signal: controller.signal })).rejects.toThrow('enough')
    })

    it('reads ranges, both ends included', async () => {
      const key = freshKey()
      const bytes = randomBytes(1_000_000)
      await put(key, bytes)
      for (const [start, end] of [[0, 0], [0, 999_999], [999_999, 999_999], [1, 700_000]] as const) {
        expect((await read(key, { start, end }))!.equals(bytes.subarray(start, end + 1))).toBe(true)
      }
    })

    it('answers null for what is missing, and deleting it is no error', async () => {
      const key = freshKey()
      await put(key, 'x')
      for (const missing of ['bucket/none', 'bucket', `${key}/below`]) {
        expect(await store.head(missing)).toBeNull()
        expect(await store.get(missing)).toBeNull()
        await store.delete(missing)
      }
    })

    it('frees a key by deleting it', async () => {
      const key = freshKey()
      await put(key, 'old')
      await store.delete(key)
      expect(await store.head(key)).toBeNull()
      expect(await put(key, 'new')).toBe('published')
      expect((await read(key))!.toString()).toBe('new')
    })

    it('lists by text prefix, whether or not it ends at a folder', async () => {
      for (const key of ['list/ab/1', 'list/ab/2', 'list/abc/3', 'list/b']) await put(key, 'abc')
      expect(await keys('list/ab')).toEqual(['list/ab/1', 'list/ab/2', 'list/abc/3'])
      expect(await keys('list/ab/')).toEqual(['list/ab/1', 'list/ab/2'])
      expect(await keys('list/')).toHaveLength(4)
      expect(await keys('lis')).toHaveLength(4)
      expect(await keys('nothing/')).toEqual([])
      for await (const item of store.list('list/b')) expect(item).toEqual({ key: 'list/b', bytes: 3 })
    })

    it('lists in the order of the bytes of the keys, folders or not', async () => {
      const order = ['order/a.mp3', 'order/a/1', 'order/a/b/2', 'order/a/c', 'order/a0', 'order/b', 'order/ж', 'order/\uffee', 'order/😀']
      for (const key of order.toReversed()) await put(key, 'x')
      const found: string[] = []
      for await (const { key } of store.list('order/')) found.push(key)
      expect(found).toEqual(order)
    })

    it('puts whole bytes in the place of damaged ones and keeps the damaged ones aside', async () => {
      const key = freshKey()
      const aside = `aside/${key}`
      await put(key, 'damaged')
      const staged = await store.stage(chunks('whole'), { maxBytes: 100 })
      await store.replace(staged, key, { mime: 'x/y', aside })
      expect((await read(key))!.toString()).toBe('whole')
      expect((await read(aside))!.toString()).toBe('damaged')
      expect(await gone(staged.path)).toBe(true)
    })

    it('puts bytes where none are left, and keeps nothing then', async () => {
      const key = freshKey()
      await store.replace(await store.stage(chunks('whole'), { maxBytes: 100 }), key, { mime: 'x/y', aside: `aside/${key}` })
      expect((await read(key))!.toString()).toBe('whole')
      expect(await store.head(`aside/${key}`)).toBeNull()
    })

    it('replaces nothing when it cannot keep what is there', async () => {
      const key = freshKey()
      await put(key, 'damaged')
      await put(`aside/${key}`, 'of an earlier repair')
      const staged = await store.stage(chunks('whole'), { maxBytes: 100 })
      await expect(store.replace(staged, key, { mime: 'x/y', aside: `aside/${key}` })).rejects.toThrow()
      expect((await read(key))!.toString()).toBe('damaged')
      expect((await read(`aside/${key}`))!.toString()).toBe('of an earlier repair')
      await staged.discard()
    })

    it('shows a reader all of the old bytes or all of the new ones while they are replaced', async () => {
      const key = freshKey()
      const [old, fresh] = [Buffer.alloc(700_000, 1), Buffer.alloc(900_000, 2)]
      await put(key, old)
      let ended = false
      const reading = (async () => {
        const seen: Buffer[] = []
        while (!ended) seen.push((await read(key))!)
        return seen
      })()
      const staged = await store.stage(chunks(fresh), { maxBytes: 1e8 })
      await store.replace(staged, key, { mime: 'x/y', aside: `aside/${key}` })
      ended = true
      for (const bytes of await reading) expect([old, fresh].some((one) => one.equals(bytes))).toBe(true)
    })

    it('takes any printable key, and refuses every one that could leave the store', async () => {
      const fine = ['песни/пользователь/Трек №1.mp3', 'a b/c+d%2e%2e/e?f#g', `${'x'.repeat(200)}/y`]
      for (const key of fine) {
        expect(await put(key, key)).toBe('published')
        expect((await read(key))!.toString()).toBe(key)
        expect(await keys(key)).toEqual([key])
      }
      const outside = ['', '/', '/etc/passwd', '../x', 'a/../../x', 'a/..', './a', 'a//b', 'a/', 'a\\..\\b']
      const strange = ['a\0b', 'a\nb', '.staging/x', 'a/.b', '\ud800']
      const long = [`a/${'x'.repeat(201)}`, 'ж'.repeat(101), 'a/'.repeat(500) + 'a']
      for (const key of [...outside, ...strange, ...long]) {
        for (const use of [store.head(key), store.get(key), store.delete(key), put(key, 'x')]) {
          await expect(use, JSON.stringify(key)).rejects.toBeInstanceOf(BadKey)
        }
      }
    })

    it('hands out a staged file at a local path that probes may read', async () => {
      const staged = await store.stage(chunks('probe me'), { maxBytes: 100 })
      await expect(writeFile(staged.path, 'x', { flag: 'wx' })).rejects.toMatchObject({ code: 'EEXIST' })
      await staged.discard()
    })
  })
}
