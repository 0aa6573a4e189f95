import { expect, it } from 'vitest'
import { wholeNumber } from './whole-number.ts'

it('a whole number is read as people write it; anything else is none', () => {
  expect(['0', ' 20 ', '1 000'].map((text) => wholeNumber(text))).toEqual([0, 20, 1000])
  for (const text of ['', '-1', '1.5', '1e3', 'ten', '2000000000']) expect(wholeNumber(text), text).toBeNull()
})
