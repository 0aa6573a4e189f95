import { randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startHarness, type Harness, type TestUser } from '../harness.ts'
import { openBrowser } from './chromium.ts'

/** A provider's CDN that refuses browsers, and for a while everybody. */
function cdn(song: Buffer) {
  const state = { closed: true, refused: 0 }
  const server = createServer((request, response) => {
    const browser = request.headers['sec-fetch-mode'] !== undefined
    if (browser) state.refused++
    if (browser || state.closed) return response.writeHead(browser ? 403 : 503).end()
    response.writeHead(200, { 'content-type': 'audio/mpeg', 'content-length': song.length }).end(song)
  })
  return { state, server }
}

describe('a song that does not play', () => {
  let reprise: Harness
  let user: TestUser
  let browser: Browser
  let page: Page
  let server: Server
  let refusing: ReturnType<typeof cdn>['state']
  let made: any
  const faults: string[] = []
  const player = () => page.getByRole('region', { name: 'Player' })

  beforeAll(async () => {
    ;[reprise, browser] = await Promise.all([
      startHarness({ webFolder: join(import.meta.dirname, '../../web/dist'), downloadAllowHosts: ['127.0.0.1'], simulator: { songSeconds: [20, 20] } }),
      openBrowser(),
    ])
    user = await reprise.user('listener')
    const asked = await reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'suno', kind: 'song', prompt: 'a patient song' } })
    made = await reprise.settled(asked.body.id, user)
    const { state, server: started } = cdn(Buffer.from(await (await fetch(made.tracks[0].audioUrl)).arrayBuffer()))
    refusing = state
    server = started
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const context = await browser.newContext({ locale: 'en-US' })
    await context.addInitScript((token) => sessionStorage.setItem('reprise.token', token), user.token)
    page = await context.newPage()
    await page.addInitScript(keepHold)
    page.on('pageerror', (error) => faults.push(String(error)))
  }, 120_000)
  afterEach(() => page.unrouteAll())
  afterAll(async () => {
    await browser?.close()
    await new Promise((resolve) => server?.close(resolve))
    await reprise?.close()
    expect(faults).toEqual([])
  }, 60_000)

  it('goes on at the provider when our copy is lost, and says so; the address in notices leads to it', async () => {
    const [track] = made.tracks
    const { rows } = await reprise.database.db.query<{ key: string }>('select blob_key as key from reprise.files where track_id = $1 and bucket = $2', [track.id, 'tracks-audio'])
    await reprise.blobs.delete(rows[0]!.key)
    await page.goto(`${reprise.url}/workspace/library?track=${track.id}`)
    const sought = page.getByRole('region', { name: 'The song of your notice' })
    await sought.getByRole('button', { name: /^play/i }).click()
    await expect.poll(() => sound(page), { timeout: 15_000 }).toMatchObject({ paused: false, at: reprise.simulator.url })
    await player().getByText('from the provider').waitFor()
    expect(new URL(page.url()).pathname).toBe('/library')
    expect(await player().getByRole('alert').count()).toBe(0)
  }, 60_000)

  it('broken with us and refused by its provider: one click has our server put our copy right, and it plays', async () => {
    await page.route(`${reprise.simulator.url}/**`, (route) => route.fulfill({ status: 403 }))
    await page.goto(`${reprise.url}/library?track=${made.tracks[0].id}`)
    await page.getByRole('region', { name: 'The song of your notice' }).getByRole('button', { name: /^play/i }).click()
    await player().getByRole('alert').getByText(/puts our copy right/).waitFor()
    await player().getByRole('button', { name: /Retry download/ }).click()
    await expect.poll(() => sound(page), { timeout: 20_000 }).toMatchObject({ paused: false, at: reprise.url })
    expect(await player().getByRole('alert').count()).toBe(0)
  }, 60_000)

  it('the next song stays the next song, however late the shape of the one before arrives', async () => {
    const [first, second] = made.tracks
    let drawn = 0
    await page.route('**/storage/**', async (route) => {
      if (route.request().resourceType() === 'fetch') await new Promise((resolve) => setTimeout(resolve, 1_000))
      await route.continue()
      if (route.request().resourceType() === 'fetch') drawn++
    })
    await page.goto(`${reprise.url}/generations/${made.id}`)
    await page.getByRole('main').getByRole('button', { name: /^play/i }).first().click()
    await expect.poll(() => sound(page), { timeout: 10_000 }).toMatchObject({ paused: false, path: new URL(first.audioUrl).pathname })
    await player().getByRole('button', { name: 'Next' }).click()
    await expect.poll(() => drawn, { timeout: 10_000 }).toBeGreaterThanOrEqual(2)
    await page.waitForTimeout(300)
    expect(await sound(page)).toMatchObject({ paused: false, path: new URL(second.audioUrl).pathname })
  }, 60_000)

  it('keeps its second, and the silence of a paused song, through a rescue', async () => {
    const [, track] = made.tracks
    await page.goto(`${reprise.url}/library?track=${track.id}`)
    await page.getByRole('region', { name: 'The song of your notice' }).getByRole('button', { name: /^play/i }).click()
    await expect.poll(() => sound(page), { timeout: 10_000 }).toMatchObject({ paused: false, at: reprise.url })
    await page.getByRole('slider', { name: 'Position' }).fill('8')
    await player().getByRole('button', { name: 'Pause', exact: true }).click()
    await page.route('**/storage/**', (route) => route.fulfill({ status: 404 }))
    await page.reload()
    await expect.poll(() => sound(page), { timeout: 10_000 }).toMatchObject({ paused: true, at: reprise.simulator.url, second: 8 })
    await player().getByRole('button', { name: 'Play', exact: true }).click()
    await expect.poll(() => sound(page), { timeout: 10_000 }).toMatchObject({ paused: false, second: 9 })
  }, 60_000)

  it('refused by its CDN: is explained, then saved with us by one click, and plays from here', async () => {
    const id = randomUUID()
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/song.mp3`
    await reprise.database.db.transaction(async (tx) => {
      await tx.query(`insert into public.tracks (id, user_id, title, status, audio_url) values ($1, $2, 'Behind a wall', 'completed', $3)`, [id, user.id, url])
      // The archive has tried already, and rests until tomorrow.
      await tx.query(`update reprise.archivals set last_error = 'refused', next_at = reprise.now() + interval '1 day' where track_id = $1`, [id])
    })
    await page.goto(`${reprise.url}/library`)
    await page.getByRole('button', { name: 'Play Behind a wall' }).click()
    const alert = player().getByRole('alert')
    await alert.getByText('MEDIA_ERR_SRC_NOT_SUPPORTED').waitFor()
    expect(await alert.innerText()).toMatch(/There is no copy with us yet/)
    expect(refusing.refused).toBeGreaterThan(0)
    refusing.closed = false
    await player().getByRole('button', { name: /Retry download/ }).click()
    await expect.poll(() => sound(page), { timeout: 30_000 }).toMatchObject({ paused: false, at: reprise.url })
    await expect.poll(() => player().getByRole('alert').count()).toBe(0)
    const { body } = await reprise.call('GET', `/api/tracks/${id}`, { token: user.token })
    expect(body.audioUrl.startsWith(reprise.url)).toBe(true)
    await expect.poll(() => page.getByRole('button', { name: /Retry download/ }).count(), { timeout: 10_000 }).toBe(0)
  }, 60_000)
})

/** Runs in the page: keeps hold of its one audio element. */
function keepHold(): void {
  const Native = window.Audio
  window.Audio = function (source?: string) {
    return ((window as any).sound = new Native(source))
  } as unknown as typeof Audio
}

/** What plays, and whether it really does. */
const sound = (page: Page): Promise<{ paused: boolean; at: string; path: string; second: number } | null> =>
  page.evaluate(() => {
    const element = (window as any).sound as HTMLAudioElement | undefined
    if (!element || element.currentTime === 0) return null
    return { paused: element.paused, at: new URL(element.src).origin, path: new URL(element.src).pathname, second: Math.floor(element.currentTime) }
  })
