import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openBrowser } from './chromium.ts'
import { demoFolder, startDemo, type Demo } from './demo.ts'

describe('the first visit, in a real browser', () => {
  let browser: Browser
  let page: Page
  let demo: Demo
  let folder: Awaited<ReturnType<typeof demoFolder>>
  const faults: string[] = []

  beforeAll(async () => {
    folder = await demoFolder()
    ;[demo, browser] = await Promise.all([startDemo(folder.path), openBrowser()])
    page = await (await browser.newContext({ locale: 'en-US' })).newPage()
    await page.addInitScript(listenIn)
    page.on('pageerror', (error) => faults.push(String(error)))
  }, 120_000)

  afterAll(async () => {
    await browser?.close()
    await demo?.stop()
    await folder?.remove()
  }, 60_000)

  it('signs the owner in by the printed link, once', async () => {
    await page.goto(demo.ownerLink)
    await page.getByRole('textbox').first().waitFor()
    expect(new URL(page.url()).pathname).toBe('/')
    const stranger = await (await browser.newContext()).newPage()
    await stranger.goto(demo.ownerLink)
    await stranger.getByText('This link has been used').waitFor()
  })

  it('one click makes a song that is heard, both variants', async () => {
    await page.getByRole('textbox').first().fill('a slow waltz for two cellos')
    await page.locator('button[type=submit]').click()
    await page.getByText('Ready', { exact: true }).waitFor({ timeout: 60_000 })
    const play = page.getByRole('button', { name: /^play/i })
    expect(await play.count()).toBe(2)
    await play.first().click()
    await expect.poll(() => heard(page), { timeout: 20_000 }).toBeGreaterThan(0.5)
    expect(faults).toEqual([])
  }, 120_000)

  it('the song plays again after a restart, for the same owner', async () => {
    const port = new URL(demo.url).port
    expect(await demo.stop()).toBe(0)
    demo = await startDemo(folder.path, { PORT: port })
    await page.goto(`${demo.url}/library`)
    await page.getByRole('button', { name: /^play/i }).first().click()
    await expect.poll(() => heard(page), { timeout: 20_000 }).toBeGreaterThan(0.5)
  }, 120_000)
})

/** Runs in the page: taps every audio element that it makes, so that the test hears what a listener hears. */
function listenIn(): void {
  const Native = window.Audio
  window.Audio = function (source?: string) {
    const element = new Native(source)
    element.addEventListener('playing', () => {
      const context = new AudioContext()
      const meter = context.createAnalyser()
      context.createMediaElementSource(element).connect(meter).connect(context.destination)
      const samples = new Float32Array(meter.fftSize)
      setInterval(() => {
        meter.getFloatTimeDomainData(samples)
        const loudness = Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length)
        const heard = ((window as any).heard ??= { seconds: 0, loudness: 0 })
        heard.seconds = element.paused ? heard.seconds : element.currentTime
        heard.loudness = Math.max(heard.loudness, loudness)
      }, 50)
    }, { once: true })
    return element
  } as unknown as typeof Audio
}

/** Seconds played, and 0 as long as nothing but silence came out. */
const heard = (page: Page): Promise<number> =>
  page.evaluate(() => {
    const { seconds = 0, loudness = 0 } = (window as any).heard ?? {}
    return loudness > 0.005 ? seconds : 0
  })
