import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { drawCover, signJpeg } from './cover.ts'

describe('covers', () => {
  it('are 512 × 512 JPEG, different for each seed, with any title', async () => {
    const covers = await Promise.all([
      drawCover('a|0', 'Night Bus'),
      drawCover('a|1', 'Night Bus'),
      drawCover('b|0', '<Дождь> & "снег" \u0000 🎵'),
    ])
    for (const cover of covers)
      expect(await sharp(cover).metadata()).toMatchObject({ format: 'jpeg', width: 512, height: 512 })
    const means = await Promise.all(
      covers.map(async (cover) => (await sharp(cover).stats()).channels.map(({ mean }) => Math.round(mean)).join()),
    )
    expect(new Set(means).size).toBe(3)
  })

  it('stay readable when signed', async () => {
    const signed = signJpeg(await drawCover('a|0', ''), 'some id')
    expect(await sharp(signed).metadata()).toMatchObject({ format: 'jpeg', width: 512 })
    expect(signed.includes('some id')).toBe(true)
  })
})
