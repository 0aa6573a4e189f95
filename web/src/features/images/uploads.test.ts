import { afterEach, expect, it, vi } from 'vitest'
import { changeDraft, draftStore, emptyDraft, type Picture } from './draft.ts'
import { letGo, sendPicture } from './uploads.ts'

afterEach(() => void vi.unstubAllGlobals())
const picture = (key: string): Picture => ({ key, name: `${key}.png`, state: 'uploading', file: new File(['x'], `${key}.png`, { type: 'image/png' }) })

it('a picture that is removed is sent no further; the other one is', async () => {
  const ended: string[] = []
  vi.stubGlobal('fetch', (_: string, { body, signal }: { body: File; signal: AbortSignal }) => new Promise((resolve, reject) => {
    if (body.name === 'stays.png') resolve(Response.json({ url: '/up/1' }, { status: 201 }))
    signal.addEventListener('abort', () => (ended.push(body.name), reject(signal.reason)))
  }))
  const [gone, stays] = [picture('gone'), picture('stays')]
  changeDraft(() => ({ ...emptyDraft, photos: [gone, stays] }))
  const sending = [gone, stays].map(sendPicture)
  changeDraft((draft) => ({ ...draft, photos: [stays] }))
  letGo(gone)
  await Promise.all(sending)
  expect(ended).toEqual(['gone.png'])
  expect(draftStore.get().photos).toMatchObject([{ key: 'stays', state: 'ready', url: '/up/1' }])
})
