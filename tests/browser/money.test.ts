import type { Page, Route } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Demo } from './demo.ts'
import { photoOf, startVisit, type Visit } from './visit.ts'

const CREATE = '**/functions/v1/create-generation-job-banana*'

describe('what is paid, in a real browser', () => {
  let visit: Visit
  let page: Page
  let demo: Demo
  let photo: Awaited<ReturnType<typeof photoOf>>

  beforeAll(async () => {
    visit = await startVisit()
    ;({ demo, page } = visit)
    photo = await photoOf('lamp.jpg', '#58a98b')
  }, 120_000)

  afterAll(() => visit?.close(), 60_000)

  const call = (method: string, path: string, body?: object): Promise<any> =>
    page.evaluate(async ([method, path, body]) => {
      const response = await fetch(path!, { method, ...(body && { body, headers: { 'content-type': 'application/json' } }) })
      return response.json()
    }, [method, path, body && JSON.stringify(body)] as const)
  const available = async (): Promise<number> => (await call('GET', '/api/balance')).available
  const jobs = async (): Promise<any[]> => (await call('GET', '/api/image-jobs?limit=100')).items

  const compose = async (product: string, more = '') => {
    await page.goto(`${demo.url}/images`)
    await page.locator('[data-pictures=photos] input').setInputFiles(photo)
    await page.getByLabel('Product', { exact: true }).fill(product)
    await page.getByLabel('What should one know about it?').fill(more)
    await page.getByRole('button', { name: 'Make the pictures' }).waitFor()
  }
  const make = () => page.getByRole('button', { name: 'Make the pictures' }).click()

  it('the price that is shown is the price that is taken, also by a line of the default model and when it changed meanwhile', async () => {
    const { imageProvider, defaultModels } = await call('GET', '/api/info')
    const line = `/api/prices/image/${imageProvider}/${encodeURIComponent(defaultModels[imageProvider])}`
    await call('PUT', line, { tokensPerResult: 3 })
    await compose('Lamp')
    await page.getByText('9 tokens for 3 pictures').waitFor()
    await call('PUT', line, { tokensPerResult: 2 })
    const [before, ordered] = [await available(), (await jobs()).length]
    await make()
    await page.getByText('The price is 6 tokens now.').waitFor()
    await page.getByText('6 tokens for 3 pictures').waitFor()
    expect([await available(), (await jobs()).length]).toEqual([before, ordered])
    await make()
    await page.waitForURL(/\/images\/[0-9a-f-]{36}$/)
    expect(before - (await available())).toBe(6)
  }, 60_000)

  it('an order whose answer is lost is the same order at the next click', async () => {
    await compose('Kettle')
    const before = await available()
    // A gateway that lost the server while it answered.
    await losing(page, CREATE, (route) => route.fulfill({ status: 502, body: '' }), async () => {
      await make()
      await page.getByText('Sending again is safe').waitFor()
    })
    // An edit that is taken back leaves the same order.
    await page.getByLabel('Product', { exact: true }).fill('Kettle no. 2')
    await page.getByLabel('Product', { exact: true }).fill('Kettle')
    await make()
    await page.waitForURL(/\/images\/[0-9a-f-]{36}$/)
    expect((await jobs()).filter(({ productName }) => productName === 'Kettle')).toHaveLength(1)
    expect(before - (await available())).toBe(6)
  }, 60_000)

  it('a song whose answer is lost is one song at the next click', async () => {
    await page.goto(demo.url)
    await page.getByRole('textbox').first().fill('a lost waltz')
    await losing(page, '**/api/generations', (route) => (route.request().method() === 'POST' ? route.fulfill({ status: 502, body: '' }) : route.fallback()), async () => {
      await page.getByRole('button', { name: 'Make the song' }).click()
      await page.getByText('Sending again is safe').waitFor()
    })
    await page.reload()
    await page.getByRole('button', { name: 'Make the song' }).click()
    await page.getByText('Accepted.').waitFor()
    expect((await call('GET', '/api/generations?exceptOrigin=image-jobs')).items).toHaveLength(1)
  }, 60_000)

  it('tokens given by hand whose answer is lost are given once', async () => {
    await page.goto(`${demo.url}/operator/ledger`)
    const form = page.getByRole('region', { name: 'Give tokens' })
    await form.getByLabel('Tokens').fill('7')
    await form.getByLabel('Reason').fill('a gift')
    await losing(page, '**/api/ledger/grants', (route) => route.abort('connectionreset'), async () => {
      await form.getByRole('button', { name: 'Give' }).click()
      await form.getByText('Sending again is safe').waitFor()
    })
    await form.getByRole('button', { name: 'Give' }).click()
    await form.getByText('Given.').waitFor()
    const given = (await call('GET', '/api/ledger/explorer?kind=grant')).items.filter(({ reason }: any) => reason === 'a gift')
    expect(given).toMatchObject([{ amount: 7 }])
  }, 60_000)

  it('a second click on Try again is not paid, and what was paid leads to its order', async () => {
    await compose('Vase', '[[fault:blocked:1]]')
    for (const name of ['In use', 'Close-up']) await page.getByRole('checkbox', { name }).uncheck()
    await make()
    await page.waitForURL(/\/images\/[0-9a-f-]{36}$/)
    const id = page.url().split('/').at(-1)!
    const again = page.getByRole('button', { name: /^Try again/ })
    await again.waitFor({ timeout: 30_000 })
    // The page learns late of what has begun.
    await page.route(`**/api/image-jobs/${id}`, async (route) => (await new Promise((resolve) => setTimeout(resolve, 500)), route.continue()))
    const begun = page.waitForResponse((response) => response.url().endsWith('/retry') && response.ok())
    await again.evaluate((button: HTMLElement) => (button.click(), button.click()))
    await begun
    await again.evaluate((button: HTMLElement) => button.click(), undefined, { timeout: 300 }).catch(() => undefined)
    await page.getByRole('button', { name: 'Version 2' }).waitFor({ timeout: 30_000 })
    await page.unrouteAll({ behavior: 'wait' })
    const job = await call('GET', `/api/image-jobs/${id}`)
    expect(job.cards[0].again).toHaveLength(1)
    expect((await jobs()).filter(({ productName }) => productName === 'Vase')).toHaveLength(2)

    await page.goto(`${demo.url}/generations/${job.cards[0].generationId}`)
    await page.waitForURL(`**/images/${id}`)
    await page.goto(`${demo.url}/wallet`)
    await page.locator(`a[href="/images/${id}"]`).first().click()
    await page.waitForURL(`**/images/${id}`)
    expect(visit.faults).toEqual([])
  }, 60_000)

  it('on a phone "Same style" leads to the style that it put into the order', async () => {
    await page.setViewportSize({ width: 390, height: 780 })
    await page.goto(`${demo.url}/images`)
    await page.locator('a[href^="/images/"]:not([href$=gallery])').last().click()
    await page.getByRole('button', { name: /^Same style/ }).first().click()
    const style = page.locator('#style')
    await expect.poll(() => style.evaluate((block) => {
      const { top, bottom } = block.getBoundingClientRect()
      return block === document.activeElement && top > 0 && bottom < innerHeight
    })).toBe(true)
    await page.getByRole('button', { name: 'Do not use this style' }).click()
    await page.setViewportSize({ width: 1280, height: 800 })
  }, 60_000)

  it('a price that could not be read is said, and read at the next try', async () => {
    await page.route('**/api/prices', (route) => route.abort())
    await page.goto(`${demo.url}/images`)
    await page.getByText('The price could not be read.').waitFor()
    await page.unroute('**/api/prices')
    await page.getByRole('main').getByRole('button', { name: 'Try again' }).click()
    await page.getByText('2 tokens for 1 picture').waitFor()
  }, 60_000)

  it('words from a clipboard that also has a picture stay words, and who signs out leaves no draft', async () => {
    await compose('Secret lamp')
    expect(await page.getByLabel('Product', { exact: true }).evaluate((field) => {
      const data = new DataTransfer()
      data.setData('text/plain', 'words')
      data.items.add(new File(['x'], 'words.png', { type: 'image/png' }))
      // True when nobody held up what the browser does by itself.
      return field.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))
    })).toBe(true)
    await page.goto(demo.url)
    await page.getByRole('textbox').first().fill('a secret song')
    await page.getByRole('button', { name: /^EN/ }).click()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await expect.poll(() => page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))).not.toMatch(/secret/i)
  }, 60_000)
})

/** While `act` runs, the server gets what is sent to the address, but its answer is lost in the given way. */
async function losing(page: Page, address: string, lose: (route: Route) => Promise<void>, act: () => Promise<void>): Promise<void> {
  const handler = async (route: Route) => {
    if (route.request().method() === 'POST') await route.fetch()
    await lose(route)
  }
  await page.route(address, handler)
  await act()
  await page.unroute(address, handler)
}
