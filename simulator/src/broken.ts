import type { ServerResponse } from 'node:http'
import type { Fault } from './faults.ts'
import { drop, errorPage, sendJson, sendText } from './http.ts'

/** Submit faults that make the task although the asker is not told so. */
export const makesTask = (fault: Fault): boolean =>
  fault.value === 'created' ||
  ['submit-drop', 'submit-timeout', 'submit-slow', 'malformed-json', 'code-200-no-taskid'].includes(fault.name)

/** How a service says these things. */
interface Voice {
  /** The beginning of a good answer. */
  cut: string
  now: number
}

/** Broken answers that submits and polls of all services share; false when the fault is none of them. */
export function breakAnswer(response: ServerResponse, name: string, { cut, now }: Voice): boolean {
  if (name === 'http-500') {
    const body = { timestamp: new Date(now).toISOString(), status: 500, error: 'Internal Server Error' }
    sendJson(response, 500, body)
  } else if (name === 'http-503') sendText(response, 503, 'text/plain', '')
  else if (name === 'html-502') sendText(response, 502, 'text/html', errorPage(502, 'Bad Gateway'))
  else if (name === 'malformed-json') sendText(response, 200, 'application/json', cut)
  else return false
  return true
}

/** Answers a submit the way the fault says; false when the service has to say it in its own words. */
export function breakSubmit(
  response: ServerResponse,
  fault: Fault,
  voice: Voice & { accept: () => void; later: (ms: number, action: () => void) => void },
): boolean {
  if (fault.name === 'submit-drop' || fault.name === 'submit-drop-before') drop(response)
  else if (fault.name === 'submit-slow') voice.later(Number(fault.value ?? 3000), voice.accept)
  else if (fault.name !== 'submit-timeout') return breakAnswer(response, fault.name, voice)
  return true
}

/** Answers a poll the way the fault says; false as above. */
export function breakPoll(response: ServerResponse, fault: Fault, voice: Voice): boolean {
  if (fault.name === 'poll-drop') drop(response)
  else if (fault.name !== 'poll-hang') return breakAnswer(response, fault.name.replace('poll-', ''), voice)
  return true
}
