import { spawn, type ChildProcess } from 'node:child_process'
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { info, startReceiver, startTiny, submit, type Receiver } from './testing/harness.ts'

let data: string
let receiver: Receiver
beforeEach(async () => {
  data = mkdtempSync(join(tmpdir(), 'simulator-'))
  receiver = await startReceiver()
})
afterEach(async () => {
  await receiver.close()
  rmSync(data, { recursive: true, force: true })
})

const main = fileURLToPath(new URL('./main.ts', import.meta.url))
const ended = (child: ChildProcess) =>
  new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
async function startProcess(env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [main], {
    env: {
      ...process.env,
      SIMULATOR_DATA: data,
      SIMULATOR_SPEED: 'instant',
      SIMULATOR_SONG_SECONDS: '2',
      SIMULATOR_SONG_POOL: '2',
      ...env,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const line = await new Promise<string>((resolve) => child.stdout!.once('data', (piece) => resolve(String(piece))))
  const ready = JSON.parse(line) as { ready: boolean; url: string }
  return { child, ready, url: ready.url }
}

describe('a simulator process', () => {
  it('killed in mid-flight comes back at the same address with its tasks, files and pending callbacks', async () => {
    const first = await startProcess()
    expect(first.ready).toEqual({ ready: true, url: readFileSync(join(data, 'url'), 'utf8') })
    const done = await submit(first.url, 'done before', receiver.url)
    await receiver.reach(3)
    const file = await (await fetch(`${first.url}/control/files/${done.data.taskId}/0`)).json()
    const pending = await submit(first.url, 'pending [[fault:callback-delay=3600000]]', receiver.url)
    await fetch(`${first.url}/control/credits`, { method: 'POST', body: '{"credits":500}' })
    const gone = ended(first.child)
    first.child.kill('SIGKILL')
    await gone

    const second = await startProcess()
    expect(second.url).toBe(first.url)
    expect((await info(second.url, done.data.taskId)).status).toBe('SUCCESS')
    expect(await (await fetch(`${second.url}/control/files/${done.data.taskId}/0`)).json()).toEqual(file)
    const credit = await fetch(`${second.url}/api/v1/generate/credit`, { headers: { authorization: 'Bearer demo' } })
    expect((await credit.json()).data).toBe(500)
    expect(receiver.got).toHaveLength(3)
    await fetch(`${second.url}/control/clock`, { method: 'POST', body: '{"advanceMs":3600000}' })
    await receiver.reach(6)
    expect(receiver.got.slice(3).map(({ body }) => [body.data.task_id, body.data.callbackType])).toEqual(
      ['text', 'first', 'complete'].map((type) => [pending.data.taskId, type]),
    )
    const end = ended(second.child)
    second.child.kill('SIGTERM')
    expect(await end).toBe(0)
  })

  it('ends with its parent when told to', async () => {
    const { child } = await startProcess({ SIMULATOR_EXIT_WITH_PARENT: '1' })
    const end = ended(child)
    child.stdin!.end()
    expect(await end).toBe(0)
  })
})

describe('the journal', () => {
  it('forgives a line cut short by a crash', async () => {
    const first = await startTiny({ data })
    const { data: task } = await submit(first.url, 'kept', receiver.url)
    await first.close()
    appendFileSync(join(data, 'journal.jsonl'), '{"task":{"id":"half')
    const second = await startTiny({ data })
    const later = await submit(second.url, 'after', receiver.url)
    await second.close()
    const third = await startTiny({ data })
    expect(third.control.tasks().map(({ taskId }) => taskId)).toEqual([task.taskId, later.data.taskId])
    third.control.reset()
    expect(third.control.tasks()).toEqual([])
    await third.close()
  })

  it('keeps fault rules, used-up counts, speed and rate', async () => {
    const first = await startTiny({ data })
    await submit(first.url, 'again [[fault:code-430:1]]', receiver.url)
    first.control.addFault({ fault: 'sensitive', match: 'wicked' })
    first.control.setRate({ count: 1, windowMs: 60_000 })
    first.control.setSpeed(5)
    await first.close()
    const second = await startTiny({ data })
    expect(second.control.faults()).toEqual([{ name: 'sensitive', match: 'wicked' }])
    const again = await submit(second.url, 'again [[fault:code-430:1]]', receiver.url)
    expect(again.code).toBe(200)
    expect((await submit(second.url, 'more', receiver.url)).code).toBe(405)
    expect((await info(second.url, again.data.taskId)).status).toBe('PENDING')
    await second.close()
  })
})
