import { createElement } from 'react'
import { renderToStaticMarkup } from 'react-dom/server'
import { describe, expect, it } from 'vitest'
import { en } from '../i18n/en.ts'
import { I18nProvider } from '../i18n/i18n.tsx'
import { ApiProblem } from './api.ts'
import { Listing } from './listing.tsx'
import { LoadFailed, type Asked } from './load-failed.tsx'
import { Missing } from './missing.tsx'

const drawn = (part: () => React.ReactNode) =>
  renderToStaticMarkup(createElement(() => I18nProvider({ start: { language: 'en', messages: en }, onChange: () => undefined, children: createElement(part) })))
const said = (part: () => React.ReactNode) => drawn(part).replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ').trim()
const whole: Asked = { isError: false, error: null, data: {}, refetch: () => undefined }
const failed: Asked = { ...whole, isError: true, error: new ApiProblem(500, { detail: 'Our shelf fell down.' }), data: undefined }

describe('a list', () => {
  const list: Parameters<typeof Listing>[0]['of'] = { ...whole, isPending: false, hasNextPage: false, isFetchingNextPage: false, fetchNextPage: () => undefined }
  const shown = (more: Partial<typeof list>, count = 0) =>
    said(() => Listing({ of: { ...list, ...more }, count, skeleton: 'its shape', empty: 'nothing yet', failed: 'No list.', children: 'the songs' }))

  it('says in each state what is so, and never that it is empty before it knows', () => {
    expect(shown({ isPending: true, data: undefined })).toBe('its shape')
    expect(shown({})).toBe('nothing yet')
    expect(shown({}, 3)).toBe('the songs')
    expect(shown({ ...failed })).toBe('No list. Our shelf fell down. Try again')
    expect(shown({ hasNextPage: true }, 3)).toBe('the songs Show more')
    // Of what has come nothing is to be shown, but more is to come.
    expect(shown({ hasNextPage: true })).toBe('Show more')
  })

  it('keeps what has come when the next page does not, and says so; a look anew that failed goes by in silence', () => {
    const trouble = { isError: true, error: failed.error }
    expect(shown({ ...trouble, isFetchNextPageError: true, hasNextPage: true }, 3)).toBe('the songs No list. Our shelf fell down. Try again Show more')
    expect(shown(trouble, 3)).toBe('the songs')
  })
})

describe('what could not be read', () => {
  it('is told from what is not there', () => {
    const missing = (status: number) => said(() => Missing({ of: { ...failed, error: new ApiProblem(status, {}) } }))
    expect([404, 422].map((status) => missing(status))).toEqual([404, 422].map(() => `${en['app.notFound']} ${en['app.notFoundHint']}`))
    expect(missing(503)).toBe(`${en['problem.generic']} Try again`)
  })

  it('is spoken of beside older news only where somebody must know', () => {
    const older = { ...failed, data: {} }
    expect(said(() => LoadFailed({ of: older }))).toBe('')
    expect(drawn(() => LoadFailed({ of: older, even: true }))).toContain('role="status"')
    expect(drawn(() => LoadFailed({ of: failed }))).toContain('role="alert"')
  })
})
