import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Demo } from './demo.ts'
import { photoOf, startVisit, type Visit } from './visit.ts'

describe('product pictures, in a real browser', () => {
  let visit: Visit
  let page: Page
  let demo: Demo
  let photo: Awaited<ReturnType<typeof photoOf>>

  beforeAll(async () => {
    visit = await startVisit()
    ;({ demo, page } = visit)
    photo = await photoOf('bag.jpg', '#a98b5d', 400)
  }, 120_000)

  afterAll(() => visit?.close(), 60_000)

  it('says what is missing and which file is none of its kind before anything is spent', async () => {
    await page.getByRole('navigation').getByText('Images').click()
    await page.getByRole('button', { name: 'Make the pictures' }).click()
    await page.getByText('Add at least one photo of the product.').waitFor()
    await page.locator('[data-pictures=photos] input').setInputFiles([photo, { name: 'fake.png', mimeType: 'image/png', buffer: Buffer.from('<html>no</html>') }])
    await page.getByText('“fake.png” is not a JPG, PNG or WebP picture.').waitFor()
    await page.getByRole('button', { name: 'Remove fake.png' }).click()
    await page.getByText('3 tokens for 3 pictures').waitFor()
    // Pasted, dropped, and one more than there is room for.
    await give(page, 'paste', photo.buffer, 'pasted.jpg')
    await give(page, 'drop', photo.buffer, 'dropped.jpg')
    await page.getByRole('button', { name: 'Remove dropped.jpg' }).waitFor()
    await give(page, 'paste', photo.buffer, 'late.jpg')
    await page.getByText('No room left for: late.jpg.').waitFor()
    for (const name of ['pasted.jpg', 'dropped.jpg']) await page.getByRole('button', { name: `Remove ${name}` }).click()
    expect(await balance(page)).toMatchObject({ held: 0 })
  }, 60_000)

  it('a click makes a page that is live, names a refusal, and finishes a card that is tried again', async () => {
    // Each card is refused once, in the way that a real model refuses.
    await page.getByLabel('Product', { exact: true }).fill('Linen bag')
    await page.getByLabel('What should one know about it?').fill('[[fault:blocked:1]]')
    await page.getByRole('checkbox', { name: 'Close-up' }).uncheck()
    await page.getByText('9:16').click()
    await page.getByText('2 tokens for 2 pictures').waitFor()
    await page.getByRole('button', { name: 'Make the pictures' }).click()
    await page.waitForURL(/\/images\/[0-9a-f-]{36}$/)
    await page.locator('[data-card=failed]').nth(1).waitFor({ timeout: 60_000 })
    const cover = page.getByRole('article', { name: 'Cover' })
    expect(await cover.innerText()).toMatch(/PROHIBITED_CONTENT[^]*Given back: 1 token/)
    await cover.getByRole('button', { name: /Try again · 1 token/ }).click()
    const picture = cover.getByRole('img')
    await picture.waitFor({ timeout: 60_000 })
    await cover.getByRole('button', { name: 'Version 2' }).waitFor()
    // The head says what the cards show.
    await page.getByText('1 of 2 pictures ready · 1 failed · 1 made again').waitFor()
    await expect.poll(() => picture.evaluate((image: HTMLImageElement) => image.naturalHeight / image.naturalWidth)).toBeCloseTo(16 / 9, 1)
    expect(visit.faults).toEqual([])
  }, 120_000)

  it('whoever left and comes back finds it as it stands; the gallery fetches small copies only', async () => {
    const fetched: string[] = []
    await page.goto(`${demo.url}/images`)
    await page.getByRole('link', { name: 'Linen bag' }).first().waitFor()
    await expect.poll(() => page.locator('article img').first().getAttribute('src'), { timeout: 20_000 }).toMatch(/-480[^/]*\.webp/)
    page.on('request', (request) => request.resourceType() === 'image' && fetched.push(request.url()))
    await page.goto(`${demo.url}/images/gallery`)
    await page.getByRole('button', { name: /^Open: Cover: Linen bag/ }).click()
    expect(fetched.length).toBeGreaterThan(0)
    expect(fetched.filter((url) => url.includes('/generated-images/') && !/-480[^/]*\.webp/.test(url)).length).toBeLessThanOrEqual(1)
    const download = page.waitForEvent('download')
    await page.getByRole('dialog').getByRole('link', { name: /^Download/ }).click()
    expect((await download).suggestedFilename()).toMatch(/^Linen-bag-Cover\.png$/)
    expect(visit.faults).toEqual([])
  }, 60_000)

  it('cards do not crowd the page of songs', async () => {
    await page.goto(demo.url)
    await page.getByText('Nothing yet: a rest of one bar').waitFor()
  }, 30_000)
})

/** Hands a file to the page as the clipboard or a drag would. */
const give = (page: Page, how: 'paste' | 'drop', bytes: Buffer, name: string) =>
  page.evaluate(({ how, bytes, name }) => {
    const data = new DataTransfer()
    data.items.add(new File([new Uint8Array(bytes)], name, { type: 'image/jpeg' }))
    const zone = document.querySelector('[data-pictures=photos] > div:nth-child(2)')!
    if (how === 'drop') zone.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }))
    else document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))
  }, { how, bytes: [...bytes], name })

const balance = (page: Page): Promise<{ available: number; held: number }> => page.evaluate(async () => (await fetch('/api/balance')).json() as any)
