import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHarness, type Harness, type TestUser } from '../tests/harness.ts'
import { eventually, makeChannel } from '../tests/seed-001.ts'

const script = join(import.meta.dirname, 'test-music-clips-jobs.ts')
const powershell = readFileSync(join(import.meta.dirname, 'test-music-clips-jobs.ps1'), 'utf8')

describe('the test script of seed 001', () => {
  let reprise: Harness
  let user: TestUser
  beforeAll(async () => {
    reprise = await startHarness({ simulator: { speed: 200 } })
    user = await reprise.user('tester', 1_000)
  })
  afterAll(() => reprise.close())

  const start = async (args: string[], env: Record<string, string> = {}): Promise<{ code: number; out: string; err: string }> => {
    try {
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [script, ...args], { env: { ...process.env, ...env } })
      return { code: 0, out: stdout, err: stderr }
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
      return { code, out: stdout, err: stderr }
    }
  }
  const follow = (channelId: string, baseUrl = reprise.url) =>
    start(['--base-url', baseUrl, '--token', user.token, '--channel-id', channelId, '--user-id', user.id, '--poll-seconds', '0.05'])

  it('follows a run to the music, prints stages, texts, ids and heartbeat, and exits 0', async () => {
    const { code, out } = await follow(await makeChannel(reprise, user, 'a song for the script'), `${reprise.url}/`)
    expect(out).toMatch(/^JobId: job_\d+_\w+\nStage: STAGE_10_REQUEST_ACCEPTED\n/)
    expect(out).toMatch(/Stage: STAGE_50_SUNO_SUCCESS\nProgress: Музыка сгенерирована успешно!\nJobId: job_\d+_\w+\nSuno TaskId: \w+\nAudioUrl: http\S+\nError: \nHeartbeat: \d+ сек \(stale: False\)\n$/)
    expect(out).not.toContain(user.token)
    expect(code).toBe(0)
  })

  it('exits 1 with the reason when the generation fails', async () => {
    const { code, out } = await follow(await makeChannel(reprise, user, 'refused [[fault:sensitive]]'))
    expect(out).toMatch(/Stage: STAGE_90_FAILED\nProgress: Ошибка при генерации\n.*\nSuno TaskId: \w+\nAudioUrl: \nError: Suno generation failed: Content policy violation\n/)
    expect(code).toBe(1)
  })

  it('exits 1 with the refusal and its job when the run is refused', async () => {
    const { code, out } = await follow(await makeChannel(reprise, user, ''))
    expect(out).toMatch(/HTTP 400: SUNO_PROMPT_REQUIRED\nMessage: Укажите промпт.*\nJobId: job_\d+_\w+\n$/)
    expect(code).toBe(1)
  })

  it('exits 1 when nobody answers, and 2 when it is called wrongly', async () => {
    const nowhere = await follow('channel_x', 'http://127.0.0.1:9')
    expect(nowhere).toMatchObject({ code: 1, out: expect.stringContaining('http://127.0.0.1:9 cannot be reached') })
    expect(await start(['--token', 'x'], { TOKEN: '' })).toMatchObject({ code: 2, err: expect.stringContaining('--channel-id is missing') })
    expect(await start(['--what'])).toMatchObject({ code: 2 })
  })

  it('stops at 99 with exit code 1', async () => {
    const following = follow(await makeChannel(reprise, user, 'for ever [[fault:never-finishes]]'))
    await eventually(() => reprise.database.db.query(`select 1 from music_clips_jobs where stage = 'STAGE_40_SUNO_PENDING'`), ({ rowCount }) => rowCount > 0)
    await reprise.wired.db.setClockOffset(61_000)
    const { code, out } = await following
    expect(out).toMatch(/Stage: STAGE_99_TIMEOUT\nProgress: Превышено время ожидания\n/)
    expect(code).toBe(1)
  })
})

describe('its PowerShell twin', () => {
  it('takes the parameters of the seed, polls every 3 s, ends at the same stages and prints the same lines', () => {
    for (const parameter of ['BaseUrl', 'Token', 'ChannelId', 'UserId']) expect(powershell).toMatch(new RegExp(`\\[string\\]\\$${parameter}\\b`))
    expect(powershell).toContain('[double]$PollSeconds = 3')
    const typescript = readFileSync(script, 'utf8')
    for (const stage of ['STAGE_50_SUNO_SUCCESS', 'STAGE_90_FAILED', 'STAGE_99_TIMEOUT']) expect(powershell).toContain(`"${stage}"`)
    const labels = (source: string) => new Set([...source.matchAll(/(?:Write-Host "|console\.log\(`)([A-Z][\w ]+:? )\$/g)].map((found) => found[1]))
    expect(labels(powershell)).toEqual(labels(typescript))
    expect(labels(powershell).size).toBeGreaterThanOrEqual(8)
  })

  it('is marked as UTF-8, which Windows PowerShell would otherwise not believe, and its brackets close', () => {
    expect(powershell.startsWith('\ufeff')).toBe(true)
    for (const [open, close] of ['()', '{}', '[]'].map((pair) => [...pair])) {
      expect(powershell.split(open!).length, `${open}${close}`).toBe(powershell.split(close!).length)
    }
  })
})
