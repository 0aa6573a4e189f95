import { Writable } from 'node:stream'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { systemIds } from '../server/src/kernel/ids.ts'
import { JWT_SECRET, SERVICE_KEY, startHarness } from './harness.ts'
import { begin, ended, job, jobWhen, makeChannel, run } from './seed-001.ts'

const SUNO_KEY = 'sk-suno-0123456789-secret-key-of-the-provider'

describe('seed 001: the log tells each stage once, and no secret ever', () => {
  it('a run, a refusal, a failure and forged callbacks, at the most talkative level', async () => {
    const lines: string[] = []
    const kept = new Writable({ write: (chunk, _, done) => (lines.push(String(chunk)), done()) })
    const tokens: string[] = []
    const ids = { ...systemIds, secret: () => (tokens.push(systemIds.secret()), tokens.at(-1)!) }
    // Without the redaction that the real logger has besides: nothing secret may even be handed to it.
    const logger = pino({ level: 'trace' }, kept)
    const reprise = await startHarness({ logger, ids, sunoKey: SUNO_KEY, simulator: { key: SUNO_KEY, speed: 500 }, mediaSigningSecret: 'signing-secret-of-the-media-0123456789' })
    try {
      const user = await reprise.user('reader of logs', 100)
      const good = await begin(reprise, user, 'a song for the log')
      const done = (await jobWhen(reprise, user, good.jobId, ended)).body
      const bad = await begin(reprise, user, 'not for the log [[fault:sensitive]]')
      const failed = (await jobWhen(reprise, user, bad.jobId, ended)).body
      const dropped = await begin(reprise, user, 'lost on the way [[fault:malformed-json]]')
      await jobWhen(reprise, user, dropped.jobId, ended)
      await reprise.simulator.control.sendCallback({ taskId: done.sunoTaskId, type: 'complete' })
      await reprise.call('POST', '/api/webhooks/suno/music?token=guessed-secret-token', { body: '{broken' })
      const poor = await reprise.user('poor reader', 0)
      const refused = (await run(reprise, poor, await makeChannel(reprise, poor))).body
      await reprise.call('GET', `/api/music-clips/jobs/${good.jobId}?token=${user.token}`, { token: 'forged-bearer-of-somebody' })
      await job(reprise, user, refused.jobId)

      const stagesOf = (jobId: string) =>
        lines.map((line) => JSON.parse(line)).filter((line) => line.jobId === jobId && line.msg.startsWith('[MusicClipsJob]'))
      /** Each stage once and in order; a stage that a quick provider leaves out has no line. */
      const expectStages = (jobId: string, taskId: string | null, ...stages: string[]) => {
        const told = stagesOf(jobId)
        const names: string[] = told.map((line) => line.stage)
        expect(names).toEqual([...new Set(names)].sort())
        expect(names).toEqual(expect.arrayContaining(stages))
        for (const line of told) expect(line.msg).toBe(`[MusicClipsJob] ${line.stage} jobId=${jobId} taskId=${line.taskId ?? '-'}`)
        expect(told.at(-1)).toMatchObject({ stage: stages.at(-1), taskId })
      }
      const [ten, twenty] = ['STAGE_10_REQUEST_ACCEPTED', 'STAGE_20_SUNO_REQUEST_SENT']
      expectStages(good.jobId, done.sunoTaskId, ten, twenty, 'STAGE_40_SUNO_PENDING', 'STAGE_50_SUNO_SUCCESS')
      expectStages(bad.jobId, failed.sunoTaskId, ten, twenty, 'STAGE_90_FAILED')
      expectStages(refused.jobId, null, 'STAGE_90_FAILED')
      expect(stagesOf(refused.jobId)).toHaveLength(1)

      const armed = lines.map((line) => JSON.parse(line)).filter((line) => line.msg.startsWith('[MusicClips] Starting server-side polling'))
      expect(armed.find((line) => line.jobId === good.jobId)).toMatchObject({ taskId: done.sunoTaskId })
      for (const { jobId } of [good, bad]) expect(armed.filter((line) => line.jobId === jobId)).toHaveLength(1)

      expect(tokens.length).toBeGreaterThan(2)
      const secrets = [...tokens, SUNO_KEY, SERVICE_KEY, JWT_SECRET, user.token, poor.token, 'guessed-secret-token', 'forged-bearer-of-somebody', 'signing-secret-of-the-media-0123456789']
      for (const secret of secrets) expect(lines.filter((line) => line.includes(secret) || line.includes(encodeURIComponent(secret)))).toEqual([])
      // Nor in what is shown to users and operators.
      const { rows } = await reprise.database.db.query('select data::text from reprise.events')
      for (const secret of [...tokens, SUNO_KEY]) expect(rows.filter((row) => row.data.includes(secret))).toEqual([])
    } finally {
      await reprise.close()
    }
  })
})
