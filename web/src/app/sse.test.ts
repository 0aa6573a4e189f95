import { describe, expect, it } from 'vitest'
import { sseParser } from './sse.ts'

describe('reading the event stream', () => {
  it('an event cut anywhere is read the same', () => {
    const text = ': hello\r\nid: 7\r\nevent: generation\r\ndata: {"a":\r\ndata: 1}\r\n\r\ndata:x\n\n'
    const wanted = [
      { id: '7', event: 'generation', data: '{"a":\n1}' },
      { id: '7', event: 'message', data: 'x' },
    ]
    for (let cut = 0; cut <= text.length; cut++) {
      const feed = sseParser()
      expect([...feed(text.slice(0, cut)), ...feed(text.slice(cut))], `cut at ${cut}`).toEqual(wanted)
    }
  })

  it('comments and heartbeats are no events', () => {
    expect(sseParser()(': beat\n\n:\n\n')).toEqual([])
  })
})
