import { describe, expect, it } from 'vitest'
import { MEDIA_ERRORS, type MediaErrorName } from './media-error.ts'
import { afterFailure, afterPlaying, afterReread, startRescue, WELL_SEC, type Rescue, type Step, type Why } from './rescue.ts'

const COPY = '/storage/copy.mp3'
const PROVIDER = 'https://cdn.example/song.mp3'

/** Plays a song whose addresses do what `world` says; answers the addresses tried, and how it ended. */
function story(sources: string[], world: (src: string) => MediaErrorName | 'plays', reread: string[] | Why | null = sources) {
  const tried: string[] = []
  let rescue: Rescue = startRescue(sources)
  let step: Step = { do: 'load', src: rescue.sources[0]! }
  for (let turn = 0; turn < 20; turn++) {
    if (step.do === 'explain') return { tried, end: step }
    if (step.do === 'reread') {
      tried.push('reread')
      ;[rescue, step] = afterReread(rescue, reread!)
      continue
    }
    tried.push(step.src)
    const end = world(step.src)
    if (end === 'plays') return { tried, end }
    ;[rescue, step] = afterFailure(rescue, step.src, end, reread !== null)
  }
  throw new Error('it never ends')
}

describe('a song that does not play', () => {
  it.each(['MEDIA_ERR_NETWORK', 'MEDIA_ERR_DECODE', 'MEDIA_ERR_SRC_NOT_SUPPORTED'] as const)('%s: our copy, then the provider, then the track is read anew, then the listener is told', (error) => {
    const { tried, end } = story([COPY, PROVIDER], () => error)
    expect(tried.slice(0, 3)).toEqual([COPY, PROVIDER, 'reread'])
    expect(end).toEqual({ do: 'explain', error })
  })

  it('goes on at the provider when our copy is gone', () => {
    expect(story([COPY, PROVIDER], (src) => (src === COPY ? 'MEDIA_ERR_SRC_NOT_SUPPORTED' : 'plays'))).toEqual({ tried: [COPY, PROVIDER], end: 'plays' })
  })

  it('a link that has lapsed is signed anew, and nobody notices', () => {
    const { tried, end } = story([`${COPY}?signed=1`], (src) => (src.endsWith('2') ? 'plays' : 'MEDIA_ERR_SRC_NOT_SUPPORTED'), [`${COPY}?signed=2`])
    expect([tried, end]).toEqual([[`${COPY}?signed=1`, 'reread', `${COPY}?signed=2`], 'plays'])
  })

  it('a copy that was saved meanwhile takes over from a provider that refuses', () => {
    expect(story([PROVIDER], (src) => (src === COPY ? 'plays' : 'MEDIA_ERR_SRC_NOT_SUPPORTED'), [COPY, PROVIDER]))
      .toEqual({ tried: [PROVIDER, 'reread', COPY], end: 'plays' })
  })

  it('a broken line is tried once more, a damaged file is not', () => {
    expect(story([COPY], () => 'MEDIA_ERR_NETWORK').tried).toEqual([COPY, 'reread', COPY])
    expect(story([COPY], () => 'MEDIA_ERR_DECODE').tried).toEqual([COPY, 'reread'])
  })

  it('what was stopped on purpose goes nowhere else', () => {
    expect(story([COPY, PROVIDER], () => 'MEDIA_ERR_ABORTED')).toEqual({ tried: [COPY], end: { do: 'explain', error: 'MEDIA_ERR_ABORTED' } })
  })

  it('tells when our own server does not answer either, or the track is no more', () => {
    for (const why of ['unreachable', 'missing'] as const) {
      expect(story([PROVIDER], () => 'MEDIA_ERR_SRC_NOT_SUPPORTED', why).end).toEqual({ do: 'explain', error: 'MEDIA_ERR_SRC_NOT_SUPPORTED', why })
    }
  })

  it('explains what the browser said of the best address, not of the last resort', () => {
    expect(story([COPY, PROVIDER], (src) => (src === COPY ? 'MEDIA_ERR_DECODE' : 'MEDIA_ERR_SRC_NOT_SUPPORTED')).end)
      .toEqual({ do: 'explain', error: 'MEDIA_ERR_DECODE' })
  })

  it('a preview, which nobody can read anew, is explained at once', () => {
    expect(story([PROVIDER], () => 'MEDIA_ERR_NETWORK', null)).toEqual({ tried: [PROVIDER], end: { do: 'explain', error: 'MEDIA_ERR_NETWORK' } })
  })

  it('ends whatever happens: no order of failures goes round for ever', () => {
    const errors = MEDIA_ERRORS
    for (let seed = 0; seed < 400; seed++) {
      let left = seed
      const draw = (n: number) => ((left = (left * 1103515245 + 12345) % 2147483648), left % n)
      const many = Array.from({ length: 1 + draw(3) }, (_, i) => `https://cdn.example/${i}.mp3`)
      const again = Array.from({ length: draw(4) }, (_, i) => `https://cdn.example/${i + draw(3)}.mp3`)
      expect(story(many, () => errors[draw(4)]!, again).tried.length).toBeLessThanOrEqual(many.length + again.length + 2)
    }
  })
})

describe('a song that plays again after a rescue', () => {
  const [rescued] = afterFailure(startRescue([COPY, PROVIDER]), COPY, 'MEDIA_ERR_NETWORK', true)

  it('has every way open anew once it has played well for a while', () => {
    expect(afterPlaying(rescued, WELL_SEC)).toEqual(startRescue([COPY, PROVIDER]))
  })

  it('a second of sound between two failures opens none: copy and provider are not tried in turns for ever', () => {
    expect(afterPlaying(rescued, 1)).toBe(rescued)
  })
})
