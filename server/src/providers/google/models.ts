/** What a model of Google's can draw. Of one that is not listed everything is let through: Google itself says no. */
export interface GoogleModel {
  id: string
  ratios: readonly string[]
  sizes: readonly string[]
}

/** The eight of seed 004, and two more that Google knows. */
const USUAL = ['3:4', '1:1', '4:5', '9:16', '16:9', '4:3', '2:3', '3:2', '5:4', '21:9'] as const
const NARROW = ['1:4', '4:1', '1:8', '8:1'] as const
const ALL_SIZES = ['512', '1K', '2K', '4K'] as const

const KNOWN: readonly GoogleModel[] = [
  { id: 'gemini-3.1-flash-image', ratios: [...USUAL, ...NARROW], sizes: ALL_SIZES },
  { id: 'gemini-3-pro-image', ratios: USUAL, sizes: ['1K', '2K', '4K'] },
]

/** In this order: a model that Google has retired is answered 404, and the next one is asked. */
export const DEFAULT_MODELS = KNOWN.map(({ id }) => id).join(',')

/** Shut down by Google; naming them would only cost a round trip for each picture. */
export const RETIRED = ['gemini-2.5-flash-image', 'gemini-2.5-flash-image-preview', 'gemini-3.1-flash-image-preview']

export const MODEL_NAME = /^[a-z0-9][a-z0-9.-]{0,99}$/

export function modelTable(ids: readonly string[]): GoogleModel[] {
  return ids.map((id) => KNOWN.find((known) => known.id === id) ?? { id, ratios: [...USUAL, ...NARROW], sizes: ALL_SIZES })
}
