import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { candidate, picture } from './fixtures.ts'

/** The adapter in a process of its own, so that what it takes is its own. */
const PROGRAM = fileURLToPath(new URL('testing/many-pictures.ts', import.meta.url))
const ABOVE_IDLE_MB = 450
/** A busy machine takes a second of it; leases are renewed every few. */
const LONGEST_STALL_MS = 3_000

describe('32 pictures at once, each after five photos of 2.7 MB', () => {
  it(`take less than ${ABOVE_IDLE_MB} MB above idle and never hold up the process for ${LONGEST_STALL_MS} ms, so that no lease is lost`, { timeout: 80_000 }, async () => {
    const answer = JSON.stringify(candidate('STOP', [picture(Buffer.alloc(2_500_000, 7).toString('base64'), 'image/jpeg')]))
    const server = createServer((request, response) => {
      request.resume().on('end', () => setTimeout(() => response.writeHead(200, { 'content-type': 'application/json' }).end(answer), 500))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, `http://127.0.0.1:${(server.address() as AddressInfo).port}`, '32', '5', '2700000'], { timeout: 75_000 })
      const { finished, idleMb, peakMb, stallMs } = JSON.parse(stdout)
      expect(finished).toBe(32)
      expect(peakMb - idleMb).toBeLessThan(ABOVE_IDLE_MB)
      expect(stallMs).toBeLessThan(LONGEST_STALL_MS)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })
})
