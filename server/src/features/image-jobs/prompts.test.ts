import { describe, expect, it } from 'vitest'
import { ASPECT_RATIOS, CARD_TYPES } from './cards.ts'
import { promptFor, styleFor, type PromptParts } from './prompts.ts'

const parts: PromptParts = {
  cardType: 'cover', productName: 'Лампа «Луна»', category: 'Home', description: 'Warm light, 3 modes', aspectRatio: '3:4', pictures: ['product', 'product', 'reference', 'style'], styleDescription: null,
}

describe('the words for a card', () => {
  it('every kind of card has a scene of its own, and names the product', () => {
    const prompts = CARD_TYPES.map((cardType) => promptFor({ ...parts, cardType }))
    expect(new Set(prompts).size).toBe(CARD_TYPES.length)
    for (const prompt of prompts) expect(prompt).toContain('Лампа «Луна»')
    expect(prompts.join()).not.toMatch(/\{\w+\}|undefined|null/)
  })

  it.each(ASPECT_RATIOS)('the ratio %s is said in words too', (aspectRatio) => {
    expect(promptFor({ ...parts, aspectRatio })).toContain(aspectRatio)
  })

  it('each picture that goes along is told by its number, for what it is', () => {
    const prompt = promptFor(parts)
    expect(prompt).toMatch(/Images 1, 2: the product/)
    expect(prompt).toMatch(/Image 3: a reference/)
    expect(prompt).toMatch(/Image 4: the style/)
    expect(promptFor({ ...parts, pictures: ['product'] })).not.toMatch(/reference|style/)
  })

  it('an edit says what shall change, and that the rest stays', () => {
    const prompt = promptFor({ ...parts, cardType: 'mainEdit', pictures: ['edited', 'product'], instruction: 'make it blue' })
    expect(prompt).toMatch(/^Change this product picture as asked: make it blue\n/)
    expect(prompt).toMatch(/Image 1: the picture to change: keep everything/)
  })

  it('a kind that we do not know, of a job from outside, is drawn by its name', () => {
    expect(promptFor({ ...parts, cardType: 'infographic' })).toContain('"infographic"')
  })

  it('a set has one style, the same whenever it is asked for', () => {
    const style = styleFor('Lamp', 'Home')
    expect(styleFor('Lamp', 'Home')).toBe(style)
    for (const cardType of CARD_TYPES) expect(promptFor({ ...parts, cardType, styleDescription: style })).toContain(style)
    expect(new Set(Array.from({ length: 40 }, (_, index) => styleFor(`Lamp ${index}`, null))).size).toBeGreaterThan(3)
  })
})
