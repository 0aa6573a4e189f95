import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLogger } from '../server/src/kernel/logger.ts'
import { createDiskStore } from '../server/src/storage/disk/disk-store.ts'
import { startHarness, type Harness } from './harness.ts'

describe('while our own disk takes nothing', () => {
  let reprise: Harness
  let folder: string
  let full = true
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reprise-full-disk-'))
    const disk = createDiskStore({ root: folder })
    reprise = await startHarness({
      leaseMs: 600_000, deadlineSec: 600, logger: createLogger({ level: 'silent' }),
      blobs: {
        ...disk,
        async stage(source, options) {
          if (full) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
          return disk.stage(source, options)
        },
      },
    })
  })
  afterAll(async () => {
    await reprise.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('a song waits for it, tried ever more rarely and saying why, and comes when there is room again', async () => {
    const user = await reprise.user('patient')
    const { body } = await reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'suno', kind: 'song', prompt: 'no room' } })
    const { db } = reprise.wired
    const tries = async () => (await db.query<{ state: string; tries: number; due: number }>(
      `select state, tries, (extract(epoch from next_at - reprise.now()) * 1000)::float8 as due from reprise.results where generation_id = $1 and role = 'final' and refused_code = 'storage_failed'`, [body.id])).rows
    let offset = 0
    for (const end = Date.now() + 20_000; ; ) {
      const rows = await tries()
      if (rows.length === 2 && rows.every((row) => row.tries >= 5)) break
      if (Date.now() > end) throw new Error(`not tried: ${JSON.stringify(rows)}`)
      // Nobody waits out the pauses, which last 8 s after the fourth time.
      if (rows.length === 2 && rows.every((row) => row.due > 0)) await reprise.wired.db.setClockOffset((offset += Math.ceil(Math.min(...rows.map((row) => row.due)))))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const { rows: events } = await db.query("select data from reprise.events where generation_id = $1 and type = 'unsaved'", [body.id])
    expect(events[0]!.data).toMatchObject({ code: 'storage_failed', detail: 'ENOSPC', final: false })
    full = false
    await reprise.wired.db.setClockOffset(offset + 60_000)
    expect(await reprise.settled(body.id, user)).toMatchObject({ state: 'complete', missing: 0, receipt: { captured: 10 } })
  })
})
