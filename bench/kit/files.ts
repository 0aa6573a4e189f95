import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { renderSong } from '../../simulator/src/music/mp3.ts'

/** A file host as a process or thread of its own: `/<name>.mp3` is the same music of about 6 MB with the name in its tag. */
const SECONDS = Number(workerData?.seconds ?? 375)

const song = Buffer.from(await renderSong({ seed: 'bench', style: 'calm', seconds: SECONDS }))
const server = createServer((request, response) => {
  const head = id3(request.url!.slice(1))
  response.writeHead(200, { 'content-type': 'audio/mpeg', 'content-length': head.length + song.length })
  response.write(head)
  response.end(song)
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
parentPort!.postMessage({ port: (server.address() as AddressInfo).port, bytes: song.length })

/** A tag of 64 bytes, so that no two files are the same. */
function id3(name: string): Buffer {
  const tag = Buffer.alloc(64)
  tag.write('ID3\x03', 'latin1')
  tag[9] = 54
  tag.write('TIT2', 10)
  tag.writeUInt32BE(44, 14)
  tag.write(name.slice(0, 40), 21, 'latin1')
  return tag
}
