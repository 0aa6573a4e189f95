import { describe, expect, it } from 'vitest'
import { CommandRefused } from '../../kernel/command-refused.ts'
import { stableUuid } from '../../kernel/ids.ts'
import { createReader, parseDate, parseDuration, type Candidate, type Refusal } from './candidate.ts'
import { chooseColumns, parseMap, type Field } from './columns.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const UUID = '0b9f6a4e-3c1d-4a57-9d38-2f1f5f3c7a10'

function read(row: Partial<Record<Field, string | null>>, options: { user?: string; sourceName?: string; allowHosts?: string[] } = {}) {
  const whole = { id: '17', user_id: 'ann', audio_url: 'https://cdn.suno.ai/a.mp3', created_at: '2026-11-20T10:00:00Z', ...row }
  const reader = createReader({ fields: Object.keys(whole) as Field[], sourceName: options.sourceName ?? null, user: options.user ?? null, now: NOW, allowHosts: options.allowHosts ?? [] })
  return reader({ place: 5, values: Object.values(whole) as (string | null)[] })
}
const taken = (...given: Parameters<typeof read>) => read(...given) as Candidate
const refused = (...given: Parameters<typeof read>) => read(...given) as Refusal

describe('a row becomes a track', () => {
  it('its id is the same each time: a UUID stays, anything else gets one of its own, apart for each named source', () => {
    expect(taken({ id: UUID.toUpperCase() }).id).toBe(UUID)
    expect(taken({ id: '17' }).id).toBe(taken({ id: '17', title: 'renamed' }).id)
    expect(taken({ id: '17' }).id).not.toBe(taken({ id: '18' }).id)
    expect(taken({ id: '17' }, { sourceName: 'old app' }).id).not.toBe(taken({ id: '17' }).id)
  })

  it('without an id its address stands for it', () => {
    expect(taken({ id: null })).toMatchObject({ sourceId: 'https://cdn.suno.ai/a.mp3' })
  })

  it('its owner is who would sign in under that name', () => {
    expect(taken({}).track.user_id).toBe(stableUuid('ann'))
    expect(taken({ user_id: UUID.toUpperCase() }).track.user_id).toBe(UUID)
    expect(taken({ user_id: null }, { user: 'bob' }).track.user_id).toBe(stableUuid('bob'))
  })

  it.each([
    ['240.5', null, 240_500], ['180', null, 180_000], ['183000', null, 183_000], ['3:25', null, 205_000], ['1:02:03', null, 3_723_000], ['200 s', null, 200_000],
    ['183000', 'ms' as const, 183_000], ['2500', 'ms' as const, 2_500], ['0', null, null], ['-1', null, null], ['soon', null, null], ['9e12', null, null],
  ])('a duration of %s (unit: %s) is %s ms', (text, unit, ms) => expect(parseDuration(text, unit)).toBe(ms))

  it('a column in milliseconds goes before one without a unit', () => {
    expect(taken({ duration: '12', duration_ms: '183400' }).track).toMatchObject({ duration: 183, duration_ms: 183_400 })
  })

  it.each([
    ['2026-11-20 10:00:00.123456+00', '2026-11-20T10:00:00.123456+00:00'], ['2026-11-20T10:00:00+05:30', '2026-11-20T10:00:00+05:30'], ['2026-11-20', '2026-11-20T00:00Z'],
    ['2026-11-20 9:05', '2026-11-20T09:05Z'], ['20.11.2026 10:00', '2026-11-20T10:00Z'], ['1763632800', '2025-11-20T10:00:00.000Z'], ['1763632800000', '2025-11-20T10:00:00.000Z'],
    ['1763632800000000', '2025-11-20T10:00:00.000Z'],
  ])('the date %s is read as it was meant, exactly', (text, exact) => expect(parseDate(text)?.text).toBe(exact))

  it.each(['11/20/2026', 'yesterday', '2026-02-31', '2026-13-01', '2026-11-20T25:00Z', '', '12'])('the date %j is not guessed at', (text) => expect(parseDate(text)).toBeNull())

  it("the team's own copy is preferred to the provider's address, which is kept as where it came from", () => {
    const track = taken({ storage_audio_url: 'https://team.supabase.co/a.mp3' })
    expect(track).toMatchObject({ urls: { audio: 'https://team.supabase.co/a.mp3' }, own: { audio: true, cover: false }, track: { provider_url: 'https://cdn.suno.ai/a.mp3', provider: 'suno' } })
  })

  it('a bad cover does not hold back the song', () => {
    expect(taken({ cover_url: 'C:\\covers\\1.jpg' })).toMatchObject({ urls: { cover: null }, notes: [expect.stringContaining('without its cover')] })
  })

  it('what PostgreSQL cannot keep is left out of texts', () => {
    expect(taken({ title: 'a\0b' }).track.title).toBe('ab')
  })

  it.each<[Partial<Record<Field, string | null>>, Refusal['kind'], RegExp]>([
    [{ audio_url: null }, 'bad', /no address/], [{ audio_url: 'song.mp3' }, 'bad', /not an address/], [{ audio_url: 'ftp://a/b.mp3' }, 'bad', /begins with ftp:/],
    [{ audio_url: 'http://cdn.suno.ai/a.mp3' }, 'bad', /not https/], [{ user_id: ' ' }, 'bad', /no owner/], [{ created_at: '11/20/2026' }, 'bad', /date cannot be read/],
    [{ created_at: '2031-01-01' }, 'bad', /in the future/], [{ status: 'processing' }, 'skipped', /status is processing/], [{ deleted_at: '2026-11-20' }, 'skipped', /deleted/],
  ])('a row with %j is %s', (row, kind, reason) => {
    expect(refused(row)).toMatchObject({ kind, place: 5, reason: expect.stringMatching(reason) })
  })

  it('a report never shows passwords or keys of an address', () => {
    const told = JSON.stringify(refused({ audio_url: 'https://bob:hunter2@host/a.mp3?token=s3cret' }))
    expect(told).toContain('host/a.mp3')
    expect(told).not.toMatch(/hunter2|s3cret/)
  })

  it('plain http is taken from a host that is allowed it', () => {
    expect(taken({ audio_url: 'http://127.0.0.1:99/a.mp3' }, { allowHosts: ['127.0.0.1:99'] }).urls.audio).toBe('http://127.0.0.1:99/a.mp3')
  })
})

describe('columns are found', () => {
  const choose = (columns: string[], map = '', userGiven = false) => Object.fromEntries(chooseColumns(columns, parseMap([map]), { userGiven }))

  it('by their usual names, however they are written', () => {
    expect(choose(['ID', 'userId', 'Audio URL', 'createdAt', 'image_url', 'durationMs'])).toEqual(
      { id: 'ID', user_id: 'userId', audio_url: 'Audio URL', created_at: 'createdAt', cover_url: 'image_url', duration_ms: 'durationMs' })
  })

  it('by --map, and a column that is given away is not taken twice', () => {
    expect(choose(['id', 'who', 'url', 'audio_url', 'made'], 'audio_url=url,user_id=who,created_at=made,video_url=audio_url')).toEqual(
      { id: 'id', user_id: 'who', audio_url: 'url', created_at: 'made', video_url: 'audio_url' })
  })

  it.each([
    [['id', 'user_id', 'created_at'], '', /address of the audio.*--map audio_url=COLUMN/], [['url', 'created_at'], '', /owner's id.*--user ID/], [['url', 'user_id'], '', /date of making/],
    [['url', 'user_id'], 'created_at=made_at', /no column "made_at".*url, user_id/], [['url'], 'artist=x', /no field artist/], [['url'], 'audio_url', /field=column/],
  ])('%j with --map %j is refused in words that help', (columns, map, says) => {
    expect(() => choose(columns, map)).toThrow(CommandRefused)
    expect(() => choose(columns, map)).toThrow(says)
  })

  it('a table without dates or owners can be taken when that is said', () => {
    expect(choose(['url'], 'created_at=', true)).toEqual({ audio_url: 'url' })
  })
})
