import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSimulator, type Simulator, type SimulatorOptions } from '../simulator.ts'

/** The callbacks a client got, and a place to answer them badly. */
export interface Receiver {
  /** Address with the token `secret`. */
  url: string
  got: { path: string; token: string | null; body: any }[]
  /** Status for the next answers; 200 at first. */
  status: number
  /** Called before each answer. */
  onCallback: (body: any) => void
  /** Waits until `count` callbacks have come. */
  reach(count: number): Promise<void>
  close(): Promise<void>
}

export async function startReceiver(): Promise<Receiver> {
  const waiting: { count: number; resolve: () => void }[] = []
  const server = createServer((request, response: ServerResponse) => {
    let text = ''
    request.on('data', (piece) => (text += piece))
    request.on('end', () => {
      const url = new URL(request.url!, 'http://receiver')
      const body = JSON.parse(text)
      receiver.got.push({ path: url.pathname, token: url.searchParams.get('token'), body })
      receiver.onCallback(body)
      response.writeHead(receiver.status).end()
      for (const waiter of waiting) if (receiver.got.length >= waiter.count) waiter.resolve()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback?token=secret`,
    got: [],
    status: 200,
    onCallback: () => {},
    reach: (count) =>
      receiver.got.length >= count
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiting.push({ count, resolve })
          }),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return receiver
}

/** A simulator without delays and with tiny shared songs, unless told otherwise. */
export const startTiny = (options: Partial<SimulatorOptions> = {}): Promise<Simulator> =>
  createSimulator({ speed: 0, songSeconds: [2, 2], songPool: 2, rate: null, pictureSide: 128, callbackRetryMs: [5, 5], ...options })

export const ask = async (url: string, path: string, init: RequestInit = {}): Promise<any> =>
  (await fetch(url + path, { headers: { authorization: 'Bearer demo' }, ...init })).json()

/** Sends a plain request; gives the whole body. */
export const submit = (url: string, prompt: string, callBackUrl: string, more: object = {}): Promise<any> =>
  ask(url, '/api/v1/generate', {
    method: 'POST',
    body: JSON.stringify({ customMode: false, instrumental: false, model: 'V5', prompt, callBackUrl, ...more }),
  })

export const info = async (url: string, taskId: string): Promise<any> =>
  (await ask(url, `/api/v1/generate/record-info?taskId=${taskId}`)).data
