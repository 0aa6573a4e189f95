import sharp from 'sharp'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { openBrowser } from './chromium.ts'
import { demoFolder, startDemo, type Demo } from './demo.ts'

export interface Visit {
  demo: Demo
  browser: Browser
  /** Signed in as the owner, in English. */
  page: Page
  /** Whatever a page threw. */
  faults: string[]
  /** A page for somebody who has not signed in. */
  newPage(options?: BrowserContextOptions): Promise<Page>
  close(): Promise<void>
}

/** Reprise as the README starts it, twenty times as fast, and a real browser whose owner has signed in. */
export async function startVisit({ env = {}, first }: { env?: Record<string, string>; first?: () => void } = {}): Promise<Visit> {
  const folder = await demoFolder()
  const [demo, browser] = await Promise.all([startDemo(folder.path, { DEMO_SPEED: '20', ...env }), openBrowser()])
  const faults: string[] = []
  const newPage = async (options: BrowserContextOptions = {}) => {
    const page = await (await browser.newContext({ locale: 'en-US', ...options })).newPage()
    page.on('pageerror', (error) => faults.push(String(error)))
    if (first) await page.addInitScript(first)
    return page
  }
  const page = await newPage()
  await page.goto(demo.ownerLink)
  await page.getByRole('textbox').first().waitFor()
  return {
    demo, browser, page, faults, newPage,
    async close() {
      await browser.close()
      await demo.stop()
      await folder.remove()
    },
  }
}

/** A photo as somebody chooses it. */
export async function photoOf(name: string, background: string, side = 300): Promise<{ name: string; mimeType: string; buffer: Buffer }> {
  return { name, mimeType: 'image/jpeg', buffer: await sharp({ create: { width: side, height: side, channels: 3, background } }).jpeg().toBuffer() }
}
