import { randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SERVICE_KEY, startHarness, type Harness, type TestUser } from '../harness.ts'
import { openBrowser } from './chromium.ts'

describe('the operator’s board of the archive', () => {
  let reprise: Harness
  let user: TestUser
  let browser: Browser
  let cdn: Server
  let song: Buffer

  beforeAll(async () => {
    ;[reprise, browser] = await Promise.all([
      startHarness({ webFolder: join(import.meta.dirname, '../../web/dist'), downloadAllowHosts: ['127.0.0.1'] }), openBrowser(),
    ])
    user = await reprise.user('owner of songs')
    const asked = await reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'suno', kind: 'song', prompt: 'seen from above' } })
    const { tracks } = await reprise.settled(asked.body.id, user)
    song = Buffer.from(await (await fetch(tracks[0].audioUrl)).arrayBuffer())
    cdn = createServer((_, response) => response.writeHead(200, { 'content-type': 'audio/mpeg', 'content-length': song.length }).end(song))
    await new Promise<void>((resolve) => cdn.listen(0, '127.0.0.1', resolve))
  }, 120_000)
  afterAll(async () => {
    await browser?.close()
    await new Promise((resolve) => cdn?.close(resolve))
    await reprise?.close()
  }, 60_000)

  async function signedIn(token: string): Promise<Page> {
    const context = await browser.newContext({ locale: 'en-US' })
    await context.addInitScript((kept) => sessionStorage.setItem('reprise.token', kept), token)
    return context.newPage()
  }

  it('shows what expires soon, and one click saves it', async () => {
    const id = randomUUID()
    await reprise.database.db.transaction(async (tx) => {
      await tx.query(`insert into public.tracks (id, user_id, title, status, audio_url, created_at) values ($1, $2, 'Nearly gone', 'completed', $3, reprise.now() - interval '14 days')`,
        [id, user.id, `http://127.0.0.1:${(cdn.address() as AddressInfo).port}/song.mp3`])
      await tx.query(`update reprise.archivals set last_error = 'the source answered 503', next_at = reprise.now() + interval '5 hours' where track_id = $1`, [id])
    })
    const page = await signedIn(SERVICE_KEY)
    await page.goto(`${reprise.url}/operator/archive`)
    const row = page.getByRole('listitem').filter({ hasText: id })
    await row.getByText('the source answered 503').waitFor()
    expect(await row.innerText()).toMatch(/Nearly gone[^]*Left: (1 day|23 hours)/)
    await row.getByRole('button', { name: /Archive now/ }).click()
    await row.waitFor({ state: 'detached', timeout: 20_000 })
    const { body } = await reprise.call('GET', `/api/tracks/${id}`, { token: user.token })
    expect(body).toMatchObject({ archived: true, bytes: song.length, expiresAt: null })
  }, 60_000)

  it('is not there for a user: neither the way to it nor what is on it', async () => {
    const page = await signedIn(user.token)
    await page.goto(`${reprise.url}/operator/archive`)
    await page.getByText('There is nothing here').waitFor()
    expect(await page.getByRole('navigation').getByText('Archive').count()).toBe(0)
  }, 60_000)
})
