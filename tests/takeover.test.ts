import { expect, it } from 'vitest'
import { crashPoints } from '../prove/crash-points.ts'

/** Around the POST, the upload and the commit; `prove` visits every place, each time that a song comes there. */
const POINTS = ['before_post', 'after_post', 'after_answer', 'after_download', 'after_publish', 'before_commit', 'after_commit'] as const

it('a worker killed in the middle of its work is taken over: no song is lost, none is asked for or charged twice', { timeout: 120_000 }, async () => {
  const { reports, leftovers } = await crashPoints({ times: 1, points: POINTS })
  expect(reports.map(({ point, died, broken }) => ({ point, died, broken }))).toEqual(POINTS.map((point) => ({ point, died: true, broken: [] })))
  expect(leftovers).toEqual([])
})

it('a Mureka generation killed in the middle gives all its songs, each charged once; only where nobody can know whether it was taken are the tokens given back', { timeout: 120_000 }, async () => {
  const points = ['after_post', 'after_answer', 'after_publish', 'before_commit'] as const
  const { reports, leftovers } = await crashPoints({ times: 1, points, provider: 'mureka' })
  expect(reports.map(({ point, died, broken, repeats, unclear }) => ({ point, died, broken, repeats, unclear }))).toEqual(
    points.map((point) => ({ point, died: true, broken: [], repeats: 0, unclear: point === 'after_post' })))
  expect(leftovers).toEqual([])
})
