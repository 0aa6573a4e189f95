import { CommandRefused } from '../../kernel/command-refused.ts'

/** What can be imported, each with the names that it usually has; compared without case, spaces and underscores. */
export const FIELDS = {
  id: ['id', 'trackid', 'songid', 'uuid'],
  user_id: ['userid', 'ownerid', 'user', 'owner', 'uid', 'authorid', 'createdby'],
  audio_url: ['audiourl', 'songurl', 'trackurl', 'mp3url', 'fileurl', 'downloadurl', 'resulturl', 'url', 'audio', 'link'],
  cover_url: ['coverurl', 'coverimageurl', 'imageurl', 'artworkurl', 'thumbnailurl', 'cover', 'image'],
  video_url: ['videourl', 'mp4url', 'video'],
  created_at: ['createdat', 'created', 'createdon', 'creationdate', 'generatedat', 'insertedat', 'madeat', 'timestamp', 'date'],
  title: ['title', 'tracktitle', 'songtitle', 'name'],
  prompt: ['prompt', 'description'],
  lyrics: ['lyrics', 'lyric'],
  style_tags: ['styletags', 'tags', 'style', 'genre'],
  provider: ['provider', 'service', 'vendor'],
  model: ['model', 'modelname', 'modelversion'],
  duration_ms: ['durationms', 'durationmilliseconds', 'lengthms'],
  duration: ['duration', 'durationseconds', 'durationsec', 'seconds', 'length'],
  status: ['status', 'state'],
  deleted_at: ['deletedat'],
  storage_audio_url: ['storageaudiourl'],
  storage_cover_url: ['storagecoverurl'],
  storage_video_url: ['storagevideourl'],
} as const

export type Field = keyof typeof FIELDS
const NAMES = Object.keys(FIELDS) as Field[]

/** `audio_url=url,created_at=made_at`: which column each field comes from; `created_at=` says that there is none. */
export function parseMap(texts: string[]): Map<Field, string> {
  const named = new Map<Field, string>()
  for (const pair of texts.flatMap((text) => text.split(',')).map((text) => text.trim()).filter(Boolean)) {
    const at = pair.indexOf('=')
    const field = pair.slice(0, at).trim() as Field
    if (at < 0) throw new CommandRefused(`--map ${pair}: write it as field=column, e.g. audio_url=url`)
    if (!NAMES.includes(field)) throw new CommandRefused(`--map ${pair}: there is no field ${field}. Fields are ${NAMES.join(', ')}.`)
    named.set(field, pair.slice(at + 1).trim())
  }
  return named
}

/**
 * Which column each field is read from. What `named` does not say is found by its usual names. Throws CommandRefused
 * when a named column does not exist, or nothing tells where the files, their dates or their owners are.
 */
export function chooseColumns(columns: string[], named: Map<Field, string>, options: { userGiven: boolean }): Map<Field, string> {
  const chosen = new Map<Field, string>()
  const plain = (name: string) => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
  const there = `It has: ${columns.join(', ')}.`
  for (const field of NAMES) {
    const asked = named.get(field)
    if (asked === '') continue
    if (asked !== undefined) {
      const column = columns.find((one) => one === asked) ?? columns.find((one) => one.toLowerCase() === asked.toLowerCase())
      if (column === undefined) throw new CommandRefused(`There is no column "${asked}" for ${field}. ${there}`)
      chosen.set(field, column)
      continue
    }
    const taken = new Set(named.values())
    const usual = FIELDS[field].map((name) => columns.find((one) => plain(one) === name && !taken.has(one))).find((one) => one !== undefined)
    if (usual !== undefined) chosen.set(field, usual)
  }
  if (!chosen.has('audio_url')) throw new CommandRefused(`No column looks like the address of the audio. Name it: --map audio_url=COLUMN. ${there}`)
  if (!chosen.has('user_id') && !options.userGiven) {
    throw new CommandRefused(`No column looks like the owner's id. Name it: --map user_id=COLUMN, or give everything to one user: --user ID. ${there}`)
  }
  if (!chosen.has('created_at') && named.get('created_at') !== '') {
    throw new CommandRefused(
      `No column looks like the date of making, which tells what expires first. Name it: --map created_at=COLUMN, or --map created_at= when there is none. ${there}`)
  }
  return chosen
}
