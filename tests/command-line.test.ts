import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SCHEDULES } from '../server/src/features/operations/maintenance.ts'
import { JWT_SECRET, startHarness, type Harness, type TestUser } from './harness.ts'

const REPRISE = join(import.meta.dirname, '../server/src/cli/reprise.ts')

/** The command line as an operator runs it: a process of its own against the database of a running Reprise. */
describe('the command line', () => {
  let reprise: Harness
  let user: TestUser
  let folder: string
  beforeAll(async () => {
    reprise = await startHarness()
    user = await reprise.user('of the command line')
    folder = await mkdtemp(join(tmpdir(), 'reprise-cli-'))
  })
  afterAll(async () => {
    await reprise.close()
    await rm(folder, { recursive: true, force: true })
  })

  const cli = (args: string[], env: Record<string, string> = {}) => new Promise<{ code: number; out: string; err: string }>((done) => {
    const own = { PATH: process.env.PATH, DATABASE_URL: reprise.database.url, DATA_DIR: folder, DEMO: 'on', ...env }
    execFile(process.execPath, [REPRISE, ...args], { env: own }, (error, out, err) => done({ code: error ? Number(error.code) : 0, out, err }))
  })
  const ask = async (prompt: string) => (await reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'suno', kind: 'song', prompt } })).body.id as string
  const query = (text: string, values?: unknown[]) => reprise.database.db.query(text, values)
  const bad = (out: string) => out.split('\n').filter((line) => line.startsWith('BAD'))

  describe('explain', () => {
    it('tells of a complete song what happened, where its files are and what it cost, by either of its names', async () => {
      const id = await ask('a finished song')
      const { providerTaskId, tracks } = await reprise.settled(id, user)
      const { code, out } = await cli(['explain', id])
      expect(code).toBe(0)
      expect(out).toContain(`Generation ${id}`)
      expect(out).toMatch(/State: complete\n/)
      expect(out).toContain('10 tokens: 10 paid, 0 given back, 0 still held')
      for (const { sha256 } of tracks) expect(out).toContain(`sha256 ${sha256}`)
      for (const word of ['accepted, 10 tokens held', `took it as task ${providerTaskId}`, 'all is here']) expect(out).toContain(word)
      expect((await cli(['explain', providerTaskId])).out).toBe(out)
    })

    it('tells of a failed song why it failed and that its tokens were given back', async () => {
      const id = await ask('a song that nobody will make')
      await reprise.settled(id, user)
      const failed = (await query(
        `insert into reprise.generations select (jsonb_populate_record(g, jsonb_build_object('id', gen_random_uuid(), 'state', 'failed', 'error_code', 'content_policy',
           'error_detail', 'a forbidden word', 'provider_task_id', null))).* from reprise.generations g where id = $1 returning id`, [id])).rows[0]!.id
      await query(`insert into reprise.hold_items (generation_id, index, user_id, amount, state) select $1, i, $2, 5, 'released' from generate_series(0, 1) i`, [failed, user.id])
      const { code, out } = await cli(['explain', failed])
      expect(code).toBe(0)
      expect(out).toContain('State: failed (content_policy: a forbidden word)')
      expect(out).toContain('0 paid, 10 given back, 0 still held')
      await query(`set local session_replication_role = replica; delete from reprise.hold_items where generation_id = '${failed}'`) // a guard keeps them
      await query('delete from reprise.generations where id = $1', [failed])
    })

    it('says of an unknown id that it is unknown, and fails', async () => {
      expect(await cli(['explain', 'job_of_nobody'])).toMatchObject({ code: 1, out: 'Nothing is known under job_of_nobody.\n' })
      expect(await cli(['explain'])).toMatchObject({ code: 1, err: expect.stringContaining('Which one?') })
    })
  })

  describe('doctor', () => {
    it('finds nothing bad in a fresh installation but the provider key that is not set', async () => {
      await query('update reprise.migrations set applied_at = now()') // the suite may have made its databases a while ago
      const { out } = await cli(['doctor'], { JWT_SECRET })
      expect(bad(out)).toEqual([expect.stringContaining('suno: SUNO_API_KEY is not set')])
      for (const about of ['database', 'clock', 'workers', 'stuck', 'ledger', 'files', 'sign-in']) expect(out).toContain(`  ok  ${about}: `)
      expect(out.match(/note  schedule [a-z-]+: its first time has not come yet/g)).toHaveLength(Object.keys(SCHEDULES).length)
    })

    it('shows when each schedule last went well; one that missed two of its times or failed last is bad', async () => {
      await query(`insert into reprise.schedule_runs (name, last_success, last_failure, last_error) values
        ('prune', now() - interval '61 minutes', now() - interval '1 day', 'long ago'), ('staging-sweep', now() - interval '2 hours 1 minute', null, null),
        ('ledger-check', now() - interval '1 day', now(), 'the view is gone')`)
      const { code, out } = await cli(['doctor'], { JWT_SECRET })
      expect(code).toBe(1)
      expect(out).toMatch(/ {2}ok {2}schedule prune: last success \d{4}-/)
      expect(out).toMatch(/BAD {3}schedule staging-sweep: last success .*missed two/)
      expect(out).toMatch(/BAD {3}schedule ledger-check: failed .*\(the view is gone\), last success/)
      await query('delete from reprise.schedule_runs')
    })
  })

  it('owner-link prints a link that signs the owner in, once', async () => {
    const { code, out } = await cli(['owner-link'], { PUBLIC_BASE_URL: 'https://songs.example' })
    expect(code).toBe(0)
    expect(out).toMatch(/^https:\/\/songs\.example\/sign-in\?token=\S+\n$/)
    const token = new URL(out.trim()).searchParams.get('token')
    const session = await reprise.call('POST', '/api/session', { body: { token } })
    expect(session).toMatchObject({ status: 200, body: { user: { operator: true } } })
    expect((await reprise.call('GET', '/api/balance', { token: session.body.accessToken })).status).toBe(200)
    expect((await reprise.call('POST', '/api/session', { body: { token } })).status).toBe(410)
  })

  it('db-url prints the address of the database in use, or says that there is none', async () => {
    expect(await cli(['db-url'])).toMatchObject({ code: 0, out: `${reprise.database.url}\n` })
    expect(await cli(['db-url'], { DATABASE_URL: '' })).toMatchObject({ code: 1, err: expect.stringContaining('There is no database yet') })
  })

  describe('while no worker runs', () => {
    beforeAll(() => reprise.wired.engine.stop())

    it('explain tells of a queued song what it waits for and when it is given up', async () => {
      const { out } = await cli(['explain', await ask('a song in the queue')])
      expect(out).toMatch(/State: queued\n/)
      expect(out).toContain('10 tokens: 0 paid, 0 given back, 10 still held')
      expect(out).toContain('waits for its turn at the provider')
    })

    it('doctor finds a ledger that breaks a promise, and a generation that nobody looks after', async () => {
      const id = await ask('a song that is left alone')
      await query(`update reprise.generations set next_at = now() - interval '2 minutes' where id = $1`, [id])
      await query('update reprise.wallets set available = available + 1 where user_id = $1', [user.id])
      const { code, out } = await cli(['doctor'], { JWT_SECRET })
      expect(code).toBe(1)
      expect(bad(out)).toContainEqual(expect.stringContaining('stuck: 1 generations are overdue'))
      expect(bad(out)).toContainEqual(expect.stringContaining('ledger: 1 rows break a promise'))
    })
  })
})
