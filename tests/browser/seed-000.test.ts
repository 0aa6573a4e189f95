import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join, dirname } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startFileHost, type FileHost } from '../file-host.ts'
import { startHarness, type Harness, type TestUser } from '../harness.ts'
import { openBrowser } from './chromium.ts'

/** Built for `<script>`: what the team's page loads. */
const SUPABASE_JS = join(dirname(createRequire(import.meta.url).resolve('@supabase/supabase-js')), 'umd/supabase.js')

describe('seed 000’s incident in the team’s own page, on an origin of its own', () => {
  let reprise: Harness
  let cdn: FileHost
  let site: Server
  let browser: Browser
  let page: Page
  let user: TestUser

  beforeAll(async () => {
    cdn = await startFileHost()
    reprise = await startHarness({ downloadAllowHosts: [cdn.host] })
    user = await reprise.user('of the page')
    const library = await readFile(SUPABASE_JS)
    site = createServer((request, response) => request.url === '/supabase.js'
      ? response.writeHead(200, { 'content-type': 'text/javascript' }).end(library)
      : response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><script src="/supabase.js"></script>'))
    await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
    browser = await openBrowser()
    page = await (await browser.newContext()).newPage()
    await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`)
  }, 120_000)
  afterAll(async () => {
    await browser?.close()
    site?.close()
    await reprise?.close()
    await cdn?.close()
  }, 60_000)

  /** Plays in the page, as a player does that draws a waveform: the seconds that it got, or the name of the error. */
  const play = (url: string) => page.evaluate((source) => new Promise<number | string>((resolve) => {
    const audio = new Audio()
    audio.crossOrigin = 'anonymous'
    audio.muted = true
    audio.onerror = () => resolve(['', 'ABORTED', 'NETWORK', 'DECODE', 'SRC_NOT_SUPPORTED'][audio.error!.code]!)
    audio.ontimeupdate = () => audio.currentTime > 0.3 && resolve(audio.currentTime)
    audio.src = source
    audio.play().catch(() => undefined)
  }), url)

  it('the CDN refuses the browser, a dead owner holds the lock; the console snippet heals it and it plays', async () => {
    const service = reprise.database.asUser(null, 'service_role')
    const [id, url] = [crypto.randomUUID(), cdn.song('refused')]
    await service.query(`select public.acquire_operation_lock('download:${id}', 120)`)
    await service.query(`insert into public.ai_generations (id, user_id, service, prompt, status, result_url, metadata) values ($1, $2, 'mureka', 'x', 'completed', $3, '{"taskId": "77"}')`, [id, user.id, url])
    expect(await play(url)).toBe('SRC_NOT_SUPPORTED')

    const answer = page.evaluate(async ({ base, token, body }) => {
      const sb = (window as any).supabase.createClient(base, 'publishable-key', { accessToken: async () => token })
      const { data, error } = await sb.functions.invoke('download-and-save-track', { body })
      return { data, error: error && String(error) }
    }, { base: reprise.url, token: user.token, body: { generation_id: id, external_url: url, filename: 'mureka_77.mp3' } })
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect((await service.query<any>('select metadata from public.ai_generations where id = $1', [id])).rows[0].metadata.local_storage_path).toBeUndefined()
    await reprise.wired.db.setClockOffset(46_000) // the dead owner's lease is over
    const { data, error } = await answer
    expect([error, data]).toMatchObject([null, { success: true, status: 'completed', data: { generation_id: id, storage_path: `${user.id}/mureka/77/mureka_77.mp3` } }])
    expect(await play(data.data.local_audio_url)).toBeGreaterThan(0.3)
    const { rows: [track] } = await service.query<any>('select audio_url from public.tracks where generation_id = $1', [id])
    expect(await play(track.audio_url)).toBeGreaterThan(0.3)
  }, 90_000)
})
