/**
 * Runs a Music Clips channel once and follows its job to the end, as `test-music-clips-jobs.ps1` does:
 *
 *   node scripts/test-music-clips-jobs.ts --base-url http://127.0.0.1:8787 --token … --channel-id … --user-id …
 *
 * The token may also be given in the environment as TOKEN, so that it stays out of the list of processes.
 * Exit code 0: the music is there. 1: refused, failed, timed out, or not reachable. 2: called wrongly.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

const FINAL = ['STAGE_50_SUNO_SUCCESS', 'STAGE_90_FAILED', 'STAGE_99_TIMEOUT']
/** Polls in a row that may go wrong before we give up. */
const PATIENCE = 5
const ANSWER_MS = 30_000

interface Answer {
  status: number
  // Whatever the server says: it is printed, not trusted.
  body: any
}

const { baseUrl, token, channelId, userId, pollSeconds } = readArguments()

async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(baseUrl + path, {
    method,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, 'x-user-id': userId },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_MS),
  })
  const text = await response.text()
  try {
    return { status: response.status, body: JSON.parse(text) ?? {} }
  } catch {
    return { status: response.status, body: { error: 'NOT_JSON', message: text.slice(0, 200) } }
  }
}

async function main(): Promise<number> {
  const started = await ask('POST', `/api/music-clips/channels/${encodeURIComponent(channelId)}/runOnce`, { userId })
  if (started.status !== 202) {
    printRefusal(started)
    if (started.body.jobId) console.log(`JobId: ${started.body.jobId}`)
    return 1
  }
  const jobId: string = started.body.jobId
  console.log(`JobId: ${jobId}`)
  console.log(`Stage: ${started.body.stage}`)

  for (let inVain = 0; inVain < PATIENCE; ) {
    await sleep(pollSeconds * 1000)
    const answer = await ask('GET', `/api/music-clips/jobs/${jobId}`).catch((error: Error) => ({ status: 0, body: { error: 'UNREACHABLE', message: error.message } }))
    if (answer.status !== 200) {
      inVain++
      printRefusal(answer)
      continue
    }
    inVain = 0
    printJob(answer.body)
    if (FINAL.includes(answer.body.stage)) return answer.body.stage === 'STAGE_50_SUNO_SUCCESS' ? 0 : 1
  }
  return 1
}

function printJob(job: any): void {
  console.log('')
  console.log(`Stage: ${job.stage}`)
  console.log(`Progress: ${job.progressText}`)
  console.log(`JobId: ${job.jobId}`)
  console.log(`Suno TaskId: ${job.sunoTaskId ?? ''}`)
  console.log(`AudioUrl: ${job.audioUrl ?? ''}`)
  console.log(`Error: ${job.error ?? ''}`)
  console.log(`Heartbeat: ${job.heartbeat.secondsSinceUpdate} сек (stale: ${job.heartbeat.isStale ? 'True' : 'False'})`)
}

function printRefusal({ status, body }: Answer): void {
  console.log('')
  console.log(`HTTP ${status}: ${body.error}`)
  console.log(`Message: ${body.message}`)
}

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        'base-url': { type: 'string', default: 'http://127.0.0.1:8787' },
        token: { type: 'string', default: process.env.TOKEN },
        'channel-id': { type: 'string' },
        'user-id': { type: 'string' },
        'poll-seconds': { type: 'string', default: '3' },
      },
    })
    const need = (name: 'token' | 'channel-id' | 'user-id') => values[name] || usage(`--${name} is missing`)
    const seconds = Number(values['poll-seconds'])
    if (!(seconds > 0)) usage('--poll-seconds must be a number above 0')
    return {
      baseUrl: values['base-url'].replace(/\/+$/, ''), token: need('token'), channelId: need('channel-id'), userId: need('user-id'), pollSeconds: seconds,
    }
  } catch (error) {
    return usage((error as Error).message)
  }
}

function usage(problem: string): never {
  console.error(problem)
  console.error('Usage: node scripts/test-music-clips-jobs.ts --token … --channel-id … --user-id … [--base-url http://127.0.0.1:8787] [--poll-seconds 3]')
  process.exit(2)
}

// The exit code is left for the end of the process, so that no line is cut off on its way into a pipe.
process.exitCode = await main().catch((error: Error) => {
  console.log(`${baseUrl} cannot be reached: ${error.message}`)
  return 1
})
