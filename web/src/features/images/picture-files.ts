/** What the server takes, too: it looks at the bytes, we at what the browser says of them. */
export const TYPES = ['image/jpeg', 'image/png', 'image/webp']
export const MOST_BYTES = 15 * 2 ** 20
export const MOST_MB = 15

export type Refusal = { rule: 'wrongType' | 'tooLarge' | 'emptyFile'; name: string; bytes: number } | { rule: 'tooMany'; names: string[] }

type FileLike = Pick<File, 'name' | 'type' | 'size'>

/** Which of the files can be taken where `room` are still free, and, of each other one, why not. */
export function sortFiles<F extends FileLike>(files: readonly F[], room: number): { taken: F[]; refused: Refusal[] } {
  const refused: Refusal[] = []
  const good = files.filter((file) => {
    const rule = !TYPES.includes(file.type) ? 'wrongType' : file.size === 0 ? 'emptyFile' : file.size > MOST_BYTES ? 'tooLarge' : undefined
    if (rule) refused.push({ rule, name: file.name, bytes: file.size })
    return !rule
  })
  const late = good.slice(Math.max(0, room))
  if (late.length > 0) refused.push({ rule: 'tooMany', names: late.map((file) => file.name) })
  return { taken: good.slice(0, Math.max(0, room)), refused }
}
