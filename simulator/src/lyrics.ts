import { createDice } from './random.ts'

const openings = [
  'I keep a light for',
  'Somewhere beyond',
  'We were dreaming of',
  'Carry me back to',
  'Tell me again about',
]
const middles = [
  'and the night hums along',
  'while the city sleeps',
  'and the rain knows my name',
  'until the morning calls',
]
const hooks = ['Oh, stay a little longer', 'Run with me, run', 'Nothing is lost tonight', 'Sing it once more']

/** Lyrics for a request that gave only an idea, as the service writes them itself. */
export function writeLyrics(idea: string): string {
  const dice = createDice(`lyrics|${idea}`)
  const about = idea.replace(/\s+/g, ' ').slice(0, 60)
  const verse = () => `${dice.pick(openings)} ${about},\n${dice.pick(middles)}.`
  const hook = dice.pick(hooks)
  return `[Verse]\n${verse()}\n${verse()}\n\n[Chorus]\n${hook},\n${dice.pick(middles)}.\n${hook}.`
}
