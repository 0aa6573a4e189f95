import type { IncomingMessage, ServerResponse } from 'node:http'

const BODY_LIMIT = 1_000_000

/** The whole body as text; rejects beyond `limit` bytes (1 MB). */
export async function readText(request: IncomingMessage, limit = BODY_LIMIT): Promise<string> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length
    if (size > limit) throw new RangeError('the body is too large')
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

/** Undefined when the text is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

export function sendText(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

export const errorPage = (status: number, title: string) =>
  `<!DOCTYPE html><html><head><title>${status} ${title}</title></head>` +
  `<body><center><h1>${status} ${title}</h1></center><hr><center>openresty</center></body></html>`

/** Ends the connection as a crashed server would: no answer at all. */
export const drop = (response: ServerResponse): void => {
  response.socket?.destroy()
}
