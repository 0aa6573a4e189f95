/** Takes the pictures of the README from a real demo: `node scripts/screenshots.ts [folder]` (default docs/screenshots). */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { BrowserContextOptions, Page } from 'playwright-core'
import sharp from 'sharp'
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

/** With few colours the files are half as large, and nobody sees it. */
async function shot(page: Page, name: string): Promise<void> {
  await page.waitForTimeout(600)
  await sharp(await page.screenshot()).png({ palette: true, quality: 90, effort: 10 }).toFile(join(folder, `${name}.png`))
}
/** A bag, as somebody might photograph it. */
const bag = (color: string) =>
  sharp(Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="900" height="900"><rect width="900" height="900" fill="#efe9df"/>` +
    `<path d="M250 330h400l60 440h-520z" fill="${color}"/><path d="M340 330c0-150 220-150 220 0" fill="none" stroke="${color}" stroke-width="28"/></svg>`,
  )).jpeg().toBuffer()
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
  let job = ''
  await visit(desktop, async (page) => {
    await page.goto(`${demo.url}/images`)
    const photos = await Promise.all(['#a98b5d', '#6f7f5c'].map(bag))
    await page.locator('[data-pictures=photos] input').setInputFiles(photos.map((buffer, n) => ({ name: `bag-${n + 1}.jpg`, mimeType: 'image/jpeg', buffer })))
    await page.getByLabel('Product', { exact: true }).fill('Linen tote bag Harbour')
    await page.getByLabel('Category').fill('Bags')
    await page.getByLabel('What should one know about it?').fill('Unbleached linen, two inner pockets, carries 15 kg')
    await page.getByRole('button', { name: 'All six' }).click()
    await page.getByRole('button', { name: 'Make the pictures' }).click()
    await page.waitForURL(/\/images\/[0-9a-f-]{36}$/)
    job = new URL(page.url()).pathname
    await page.locator('[data-card=completed]').nth(5).waitFor({ timeout: 120_000 })
    await page.getByText('Ready', { exact: true }).waitFor()
    await shot(page, 'images')
    await page.goto(`${demo.url}/notifications`)
    await page.getByRole('heading', { name: 'What to tell me' }).waitFor()
    await shot(page, 'notices')
    await page.goto(`${demo.url}/operator/ledger`)
    await page.getByRole('button', { name: 'Look now' }).click()
    await page.getByText(/^Looked at/).waitFor()
    await shot(page, 'ledger')
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
    await page.goto(`${demo.url}/images`)
    await page.getByRole('link', { name: /Harbour/ }).waitFor()
    await shot(page, 'images-dark')
    await page.goto(`${demo.url}/operator/ledger`)
    await page.getByRole('button', { name: 'Look now' }).waitFor()
    await shot(page, 'ledger-dark')
  })
  await visit({ ...phone, locale: 'fr-FR' }, async (page) => {
    await page.goto(demo.url)
    await page.getByRole('textbox').first().waitFor()
    await shot(page, 'create-phone-fr')
    await page.goto(`${demo.url}/library`)
    await shot(page, 'library-phone-fr')
    await page.goto(demo.url + job)
    await page.locator('[data-card=completed]').nth(5).waitFor()
    await shot(page, 'images-phone-fr')
  })
  await visit({ ...phone, colorScheme: 'dark' }, async (page) => {
    await page.goto(demo.url)
    await page.getByText('Ready', { exact: true }).first().scrollIntoViewIfNeeded()
    await shot(page, 'list-phone-dark')
    await page.getByRole('button', { name: /^Notices/ }).click()
    await shot(page, 'notices-phone-dark')
  })
} finally {
  await browser.close()
  await demo.stop()
  await data.remove()
}
