import { mkdtemp, readdir, readFile, readlink, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { blobStoreContract } from '../blob-store.contract.ts'
import { createDiskStore, type DiskStore } from './disk-store.ts'

blobStoreContract('disk', async () => {
  const root = await mkdtemp(join(tmpdir(), 'reprise-disk-'))
  const store = createDiskStore({ root: join(root, 'made', 'on', 'demand') })
  return { store, close: () => rm(root, { recursive: true }) }
})

describe('disk store', () => {
  let root: string
  let store: DiskStore
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'reprise-disk-'))
    store = createDiskStore({ root })
  })
  afterEach(() => rm(root, { recursive: true }))
  const stage = (text: string, maxBytes = 1000) => store.stage(Readable.from([Buffer.from(text)]), { maxBytes })
  const staged = () => readdir(join(root, '.staging'))

  it('leaves nothing in the staging folder: neither after a publish nor after any failure', async () => {
    await store.publish(await stage('x'), 'a/b', { mime: 'text/plain' })
    await expect(stage('too long', 3)).rejects.toThrow()
    const aborted = AbortSignal.timeout(10)
    await expect(store.stage(new Readable({ read() {} }), { maxBytes: 9, signal: aborted })).rejects.toThrow()
    expect(await staged()).toEqual([])
  })

  it('sweeps staged files that a crash left behind, and only those', async () => {
    const fresh = await stage('fresh')
    const old = join(root, '.staging', 'left-by-a-crash')
    await writeFile(old, 'x')
    const yesterday = new Date(Date.now() - 25 * 3_600_000)
    await utimes(old, yesterday, yesterday)
    expect(await store.sweepStaging(24 * 3_600_000)).toBe(1)
    expect(await staged()).toEqual([fresh.path.split('/').at(-1)])
    expect(await createDiskStore({ root: join(root, 'nothing-here') }).sweepStaging(0)).toBe(0)
  })

  it('goes on when somebody removed the folders under a running store', async () => {
    await store.publish(await stage('x'), 'deep/er/file', { mime: 'text/plain' })
    await rm(join(root, 'deep'), { recursive: true })
    for (const key of ['deep/er/file', 'deep/other/file']) {
      await rm(join(root, 'deep'), { recursive: true, force: true })
      expect(await store.publish(await stage('y'), key, { mime: 'text/plain' })).toBe('published')
    }
  })

  it('keeps damaged bytes aside also when somebody removed that folder under a running store', async () => {
    await store.publish(await stage('damaged'), 'a/b', { mime: 'text/plain' })
    await store.replace(await stage('whole'), 'a/b', { mime: 'text/plain', aside: 'aside/1' })
    await rm(join(root, 'aside'), { recursive: true })
    await store.replace(await stage('again'), 'a/b', { mime: 'text/plain', aside: 'aside/2' })
    expect(await readFile(join(root, 'a/b'), 'utf8')).toBe('again')
    expect(await readFile(join(root, 'aside/2'), 'utf8')).toBe('whole')
  })

  it('closes its file when a reader stops half way', async () => {
    const big = await store.stage(Readable.from([Buffer.alloc(3e6)]), { maxBytes: 1e7 })
    await store.publish(big, 'big', { mime: 'x/y' })
    const stream = (await store.get('big'))!
    for await (const _ of stream) break
    await expect.poll(() => openFilesUnder(root)).toEqual([])
  })
})

async function openFilesUnder(root: string): Promise<string[]> {
  const names = await readdir('/proc/self/fd')
  const targets = await Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')))
  return targets.filter((target) => target.startsWith(root))
}
