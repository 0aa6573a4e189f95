import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../config/setting.ts'
import type { Kind } from '../../providers/provider.ts'
import { imageProviderOf } from './image-jobs.config.ts'

const provider = (id: string, kind: Kind) => ({ descriptor: { id, kinds: [kind] } }) as unknown as Parameters<typeof imageProviderOf>[1][number]

describe('the provider of pictures', () => {
  const here = [provider('suno', 'song'), provider('painter', 'image')]

  it('is the one that was named, else Google, also while it has no key', () => {
    expect(imageProviderOf('painter', here)).toBe('painter')
    expect(imageProviderOf(undefined, here)).toBe('google')
    expect(imageProviderOf('google', [...here, provider('google', 'image')])).toBe('google')
  })

  it('is refused by its name, with those that could be chosen, when it is not there or makes no pictures', () => {
    expect(() => imageProviderOf('nobody', here)).toThrow(ConfigError)
    expect(() => imageProviderOf('nobody', here)).toThrow('IMAGE_PROVIDER: "nobody" is not there, or has no key; pictures can be made by painter')
    expect(() => imageProviderOf('suno', here)).toThrow('IMAGE_PROVIDER: "suno" makes no pictures; pictures can be made by painter')
    expect(() => imageProviderOf('suno', here.slice(0, 1))).toThrow('none of the providers that have a key')
  })
})
