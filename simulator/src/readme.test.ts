import { expect, it } from 'vitest'
import { currentReadme, freshReadme } from './readme.ts'

it('the README tells the faults, endpoints and settings that the code has (readme.ts writes it)', () => {
  expect(currentReadme()).toBe(freshReadme())
})
