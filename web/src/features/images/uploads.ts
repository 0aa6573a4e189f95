import { changeDraft, picturesOf, type Draft, type Picture } from './draft.ts'
import { uploadPicture } from './images.ts'

const underWay = new Map<string, AbortController>()

/** Sends one picture, also when its page has been left meanwhile; what was let go before the answer stays gone. */
export async function sendPicture({ key, file }: Picture): Promise<void> {
  const put = (part: Partial<Picture>) => {
    const fresh = (one: Picture): Picture => (one.key === key ? { ...one, ...part } : one)
    changeDraft((draft) => ({ ...draft, photos: draft.photos.map(fresh), reference: draft.reference && fresh(draft.reference) }))
  }
  if (!file) return
  const line = new AbortController()
  underWay.set(key, line)
  put({ state: 'uploading', problem: undefined })
  try {
    const { url, previewUrl } = await uploadPicture(file, line.signal)
    put({ state: 'ready', url, previewUrl, file: undefined })
  } catch (problem) {
    if (!line.signal.aborted) put({ state: 'failed', problem })
  } finally {
    underWay.delete(key)
  }
}

/** Ends what is on its way and gives back the memory of the preview. */
export function letGo({ key, preview }: Picture): void {
  underWay.get(key)?.abort()
  if (preview) URL.revokeObjectURL(preview)
}

export const letAllGo = (draft: Draft): void => picturesOf(draft).forEach(letGo)
