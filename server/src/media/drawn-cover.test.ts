import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { drawCover, drawnCover, isDrawn } from './drawn-cover.ts'

describe('a cover that Reprise draws', () => {
  it('is a square JPEG, the same whenever it is drawn again', async () => {
    const address = drawnCover('a night bus', 0)
    const [first, again] = await Promise.all([drawCover(address), drawCover(address)])
    expect(await sharp(first).metadata()).toMatchObject({ format: 'jpeg', width: 800, height: 800 })
    expect(again).toEqual(first)
  })

  it('differs from song to song and from variant to variant', async () => {
    const addresses = [drawnCover('a night bus', 0), drawnCover('a night bus', 1), drawnCover('a day bus', 0)]
    const pictures = await Promise.all(addresses.map(async (address) => Buffer.from(await drawCover(address)).toString('base64')))
    expect(new Set(pictures).size).toBe(3)
  })

  it('has an address that no provider can be asked for', () => {
    expect(isDrawn(drawnCover('x', 0))).toBe(true)
    for (const address of ['https://cdn.example.com/drawn:1.jpeg', 'http://drawn:80/']) expect(isDrawn(address)).toBe(false)
  })
})
