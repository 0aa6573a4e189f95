import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Demo } from './demo.ts'
import { photoOf, startVisit, type Visit } from './visit.ts'

const CHANGE = /^Change ?: Song suno/
const SERVICE_KEY = 'a-service-key-for-the-keyboard-test-0123456789'

describe('the page without a mouse, in a real browser', () => {
  let visit: Visit
  let page: Page
  let demo: Demo
  let photo: Awaited<ReturnType<typeof photoOf>>
  let job = ''

  beforeAll(async () => {
    visit = await startVisit({ env: { DEMO: 'on', SERVICE_ROLE_KEY: SERVICE_KEY }, first: watchFocus })
    ;({ demo, page } = visit)
    photo = await photoOf('bag.jpg', '#a98b5d', 200)
    page.setDefaultTimeout(20_000)
  }, 120_000)

  afterAll(() => visit?.close(), 60_000)

  it('asks for pictures, watches them and tries one again by keys alone, and the focus is never lost', async () => {
    await page.goto(`${demo.url}/images`)
    await tabTo(page, /Choose photos/)
    const chooser = page.waitForEvent('filechooser')
    await page.keyboard.press('Space')
    await (await chooser).setFiles([photo])
    await page.getByRole('button', { name: 'Remove bag.jpg' }).waitFor()
    await tabTo(page, /^Product/)
    await page.keyboard.type('Linen bag')
    await tabTo(page, /^What should one know/)
    await page.keyboard.type('[[fault:blocked:1]]')
    for (const card of [/In use/, /Close-up/]) {
      await tabTo(page, card)
      await page.keyboard.press('Space')
    }
    await tabTo(page, /Make the pictures/)
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/images\/[0-9a-f-]{36}$/)
    job = page.url()
    await page.locator('[data-card=failed]').waitFor({ timeout: 30_000 })
    await tabTo(page, /^Try again/)
    await page.keyboard.press('Enter')
    // The button has gone with the try that failed: its card has the focus.
    await expect.poll(() => focused(page)).toBe('Cover')
    await page.locator('[data-card=completed]').waitFor({ timeout: 30_000 })
    expect(await lost(page)).toEqual([])
  }, 60_000)

  it('a dialog closed by Escape gives the focus back; one whose text is being selected stays', async () => {
    await page.goto(job)
    await page.locator('[data-card=completed]').waitFor()
    await tabTo(page, /^Change: Cover/)
    await page.keyboard.press('Enter')
    const text = page.getByRole('dialog').getByRole('textbox')
    await text.fill('Make the background warmer')
    await text.hover()
    await page.mouse.down()
    await page.mouse.move(4, 4)
    await page.mouse.up()
    expect(await text.inputValue()).toBe('Make the background warmer')
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await focused(page)).toBe('Change: Cover')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await page.mouse.click(4, 4)
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    // A link out of a dialog leads to the beginning of its page.
    await page.goto(`${demo.url}/images/gallery`)
    await tabTo(page, /^Open: Cover/)
    await page.keyboard.press('Enter')
    await tabTo(page, /^Open the order/)
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/images\/[0-9a-f-]{36}$/)
    await expect.poll(() => focused(page)).toBe('content')
    expect(await lost(page)).toEqual([])
  }, 30_000)

  it('each page has a title of its own, one first heading, and headings that skip no level', async () => {
    const song = await page.evaluate(async () => {
      const headers = { 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() }
      const made = await fetch('/api/generations', { method: 'POST', headers, body: JSON.stringify({ provider: 'suno', kind: 'song', prompt: 'a waltz', title: 'Last tram' }) })
      return ((await made.json()) as { id: string }).id
    })
    const paths = ['/', '/images', '/images/gallery', '/library', '/channels', '/wallet', '/notifications', '/operator/ledger', '/operator/archive', '/nowhere']
    const titles: string[] = []
    for (const path of [...paths, new URL(job).pathname, `/generations/${song}`]) {
      await page.goto(demo.url + path)
      await page.locator('h1').waitFor()
      await expect.poll(() => page.title(), { message: path }).not.toBe('Reprise')
      titles.push(await page.title())
      const levels = await page.locator('main :is(h1, h2, h3, h4)').evaluateAll((all) => all.map(({ tagName }) => Number(tagName[1])))
      expect(levels.filter((level, place) => level > (levels[place - 1] ?? 0) + 1), path).toEqual([])
    }
    expect(new Set(titles).size, titles.join(', ')).toBe(titles.length)
    expect(titles.slice(-2)).toEqual(['Linen bag · Reprise', 'Last tram · Reprise'])
  }, 60_000)

  it('what goes away under the focus leaves it in its place: notices read, a price saved or removed', async () => {
    await page.goto(`${demo.url}/wallet`)
    await tabTo(page, /^Notices/)
    await page.keyboard.press('Enter')
    await tabTo(page, /^Mark all as read/)
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Notices: nothing unread' }).waitFor()
    expect(await focused(page)).toBe('Mark all as read')
    await page.evaluate(() => fetch('/api/prices/song/suno', { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{"tokensPerResult":7}' }))
    await page.goto(`${demo.url}/operator/ledger`)
    const prices = page.getByRole('region', { name: 'Prices' })
    await prices.getByRole('button', { name: CHANGE }).focus()
    await page.keyboard.press('Enter')
    await page.keyboard.press('Escape')
    expect(await focused(page)).toMatch(CHANGE)
    await page.keyboard.press('Enter')
    await page.keyboard.press('Enter')
    await prices.getByText('The new price holds from now on.').waitFor()
    expect(await focused(page)).toMatch(CHANGE)
    await tabTo(page, /^Remove ?: Song suno/)
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'Remove this price?' }).waitFor()
    await tabTo(page, /^Remove$/)
    await page.keyboard.press('Enter')
    await prices.getByText('Removed: Song suno').waitFor()
    await prices.getByRole('button', { name: CHANGE }).waitFor({ state: 'detached' })
    expect(await lost(page)).toEqual([])
  }, 30_000)

  it('a search of the ledger stands in the address, and what is wrong with it at its field', async () => {
    await page.goto(`${demo.url}/operator/ledger`)
    const generation = page.getByLabel('Generation', { exact: true })
    await generation.fill('abc')
    await generation.press('Enter')
    await page.waitForURL(/generationId=abc/)
    await page.reload()
    expect(await generation.inputValue()).toBe('abc')
    await expect.poll(() => generation.getAttribute('aria-invalid')).toBe('true')
  }, 30_000)

  it('a finger finds everything: on a phone nothing to press is smaller than its tip', async () => {
    const phone = await visit.newPage({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true })
    await phone.context().addCookies(await page.context().cookies())
    for (const path of ['/', '/images', new URL(job).pathname, '/wallet', '/notifications', '/operator/ledger']) {
      await phone.goto(demo.url + path)
      await phone.locator('h1').waitFor()
      await phone.waitForTimeout(500)
      expect(await phone.evaluate(tooSmall), path).toEqual([])
    }
    await phone.context().close()
  }, 60_000)

  it('who signs in with a token is brought to the content', async () => {
    const fresh = await visit.newPage()
    await fresh.goto(`${demo.url}/wallet`)
    await fresh.getByLabel('Access token').fill(SERVICE_KEY)
    await fresh.keyboard.press('Enter')
    await fresh.getByRole('heading', { name: 'Wallet' }).waitFor()
    expect(await fresh.evaluate(() => document.activeElement?.id)).toBe('content')
    await fresh.context().close()
  }, 30_000)
})

/** Runs in the page: notes where the focus was each time that it stayed nowhere for longer than a moment. */
function watchFocus(): void {
  const all: string[] = ((window as any).lost = [])
  let last: Element | null = null
  let since = 0
  const look = (now: number) => {
    const at = document.activeElement
    if (at && at !== document.body) [last, since] = [at, 0]
    else if (last && since === 0) since = now
    else if (last && now - since > 250) {
      all.push(`${last.tagName} ${last.getAttribute('aria-label') ?? last.textContent}`)
      last = null
    }
    requestAnimationFrame(look)
  }
  requestAnimationFrame(look)
}

/**
 * Runs in the page: what can be pressed and is smaller than 44 pixels; four in a row may share
 * a narrow card. A box in a label is as large as its label, and a title that leads somewhere has a link of its own below.
 */
function tooSmall(): string[] {
  return [...document.querySelectorAll<HTMLElement>('a[href], button, summary, select, textarea, input:not([type=file]), label:has([type=checkbox], [type=radio])')]
    .filter((one) => !one.closest('.sr-only, h3') && !(one.matches('input') && one.closest('label')))
    .map((one) => ({ one, box: one.getBoundingClientRect() }))
    .filter(({ box }) => box.width > 1 && (box.width < 42 || box.height < 43.5))
    .map(({ one, box }) => `${one.tagName} ${one.getAttribute('aria-label') ?? one.innerText} ${Math.round(box.width)}x${Math.round(box.height)}`)
}

const lost = async (page: Page): Promise<string[]> => {
  await page.waitForTimeout(300)
  return page.evaluate(() => (window as any).lost)
}

/** The name of what has the focus. */
const focused = (page: Page): Promise<string> =>
  page.evaluate(() => {
    const at = document.activeElement as HTMLInputElement | null
    if (!at || at === document.body as Element) return 'nothing'
    if (at.id === 'content') return at.id
    return (at.getAttribute('aria-label') || at.labels?.[0]?.innerText || at.innerText || at.id).replace(/\s+/g, ' ').trim()
  })

async function tabTo(page: Page, name: RegExp): Promise<void> {
  for (let press = 0; press < 90; press++) {
    await page.keyboard.press('Tab')
    if (name.test(await focused(page))) return
  }
  throw new Error(`no way to ${name} by the Tab key`)
}
