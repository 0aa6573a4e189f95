import { describe, expect, it } from 'vitest'
import { badgeText, wayOf } from './notifications.ts'

describe('a notice', () => {
  it('leads inside this page or to an address of the team’s own app, and nowhere else', () => {
    expect(wayOf('/generations/1')).toEqual({ inside: '/generations/1' })
    expect(wayOf('https://app.example.com/workspace/library?track=1')).toEqual({ outside: 'https://app.example.com/workspace/library?track=1' })
    for (const link of [null, '', 'javascript:alert(1)', '//elsewhere.example', '/\\elsewhere.example', 'mailto:a@b.c']) expect(wayOf(link), String(link)).toBeNull()
  })

  it('is counted up to 99', () => {
    expect([1, 99, 100, 1000].map(badgeText)).toEqual(['1', '99', '99+', '99+'])
  })
})
