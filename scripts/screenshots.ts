/** Takes the pictures of the README from a real demo: `node scripts/screenshots.ts [folder]` (default docs/screenshots). */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { openBrowser } from '../tests/browser/chromium.ts'
import { demoFolder, startDemo } from '../tests/browser/demo.ts'

const folder = process.argv[2] ?? join(import.meta.dirname, '../docs/screenshots')
await mkdir(folder, { recursive: true })
const data = await demoFolder()
const demo = await startDemo(data.path)
const browser = await openBrowser()
const desktop = { viewport: { width: 1280, height: 860 }, deviceScaleFactor: 1 }
const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }
let cookies: Awaited<ReturnType<ReturnType<Page['context']>['cookies']>> = []

async function visit(options: BrowserContextOptions, look: (page: Page) => Promise<void>): Promise<void> {
  const context = await browser.newContext({ locale: 'en-US', ...options })
  await context.addCookies(cookies)
  const page = await context.newPage()
  await look(page)
  await context.close()
}

const shot = (page: Page, name: string) => page.waitForTimeout(600).then(() => page.screenshot({ path: join(folder, `${name}.png`) }))
const ask = async (page: Page, prompt: string) => {
  await page.getByRole('textbox').first().fill(prompt)
  await page.locator('button[type=submit]').click()
  await page.waitForTimeout(800)
}

try {
  await visit(desktop, async (page) => {
    await page.goto(demo.ownerLink)
    await page.getByRole('textbox').first().waitFor()
    cookies = await page.context().cookies()
    await shot(page, 'empty')
    await ask(page, 'A slow waltz for two cellos, candlelight, an old ballroom')
    await page.getByText('Ready', { exact: true }).waitFor({ timeout: 60_000 })
    await ask(page, 'Late-night lo-fi with rain on the window and a lazy upright bass')
    await ask(page, 'A song that the provider refuses [[fault:sensitive]]')
    await page.getByText('Failed', { exact: true }).waitFor({ timeout: 60_000 })
    await page.getByRole('button', { name: /^play a slow/i }).first().click()
    await page.waitForTimeout(2_500)
    await shot(page, 'create')
    await page.getByText('Ready', { exact: true }).nth(1).waitFor({ timeout: 60_000 })
    await page.getByRole('link', { name: /details/i }).last().click()
    await shot(page, 'details')
    await page.goto(`${demo.url}/channels`)
    await shot(page, 'channels-empty')
    await page.goto(`${demo.url}/operator/archive`)
    await page.getByText('Expiring soon').waitFor()
    await shot(page, 'archive')
  })
  await visit({ ...desktop, locale: 'ru-RU' }, async (page) => {
    await page.goto(demo.url)
    const settings = { sunoPrompt: 'Спокойная фортепианная музыка для вечернего города', styleTags: ['piano', 'ambient'] }
    await page.evaluate(
      (musicClipsSettings) => fetch('/api/channels', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'Вечерний город', musicClipsSettings }) }),
      settings,
    )
    await page.goto(`${demo.url}/channels`)
    await page.getByRole('button', { name: /Запустить/ }).first().click()
    await page.waitForTimeout(3_500)
    await page.getByRole('button', { name: /Показать детали/ }).first().click()
    await shot(page, 'channels-ru')
  })
  await visit({ ...desktop, colorScheme: 'dark' }, async (page) => {
    await page.goto(demo.url)
    await page.getByText('Ready', { exact: true }).first().waitFor()
    await shot(page, 'create-dark')
    await page.goto(`${demo.url}/wallet`)
    await shot(page, 'wallet-dark')
  })
  await visit({ ...phone, locale: 'fr-FR' }, async (page) => {
    await page.goto(demo.url)
    await page.getByRole('textbox').first().waitFor()
    await shot(page, 'create-phone-fr')
    await page.goto(`${demo.url}/library`)
    await shot(page, 'library-phone-fr')
  })
  await visit({ ...phone, colorScheme: 'dark' }, async (page) => {
    await page.goto(demo.url)
    await page.getByText('Ready', { exact: true }).first().scrollIntoViewIfNeeded()
    await shot(page, 'list-phone-dark')
  })
} finally {
  await browser.close()
  await demo.stop()
  await data.remove()
}
