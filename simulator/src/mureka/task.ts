import type { SongTask } from '../songs.ts'

/** What is kept of one accepted request. Everything else about it is worked out from this and the clock. */
export interface MurekaTask extends SongTask {
  kind: 'song' | 'instrumental'
  /** Times faster than the real service when it was accepted; 0 = no delays. */
  speed: number
  model: string
  lyrics: string
  /** Asked for with `stream: true`: has a phase in which the songs can be heard before they are done. */
  stream: boolean
}
