import { expect, it } from 'vitest'
import { SETTING_GROUPS } from '../server/src/app.config.ts'
import { duplicateNames } from '../server/src/config/docs.ts'
import { outdated } from './docs.ts'

it('no generated page lies: each is what the code says now', async () => {
  expect(await outdated()).toEqual([])
})

it('no two rooms read the same variable', () => {
  expect(duplicateNames(SETTING_GROUPS)).toEqual([])
})
