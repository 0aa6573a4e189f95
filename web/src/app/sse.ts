/** One server-sent event. `id` stays what the last event said when this one says none. */
export interface ServerEvent {
  id: string
  event: string
  data: string
}

/** Feeds on pieces of an event stream, however they are cut, and answers the events completed by each. */
export function sseParser(): (piece: string) => ServerEvent[] {
  let rest = ''
  let id = ''
  let event = ''
  let data: string[] = []
  return (piece) => {
    const done: ServerEvent[] = []
    rest += piece
    // A lone CR at the end may be half of a CRLF: it waits for the next piece.
    const lines = rest.split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop()!
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) done.push({ id, event: event || 'message', data: data.join('\n') })
        event = ''
        data = []
        continue
      }
      const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
      if (name === 'data') data.push(value)
      else if (name === 'event') event = value
      else if (name === 'id' && !value.includes('\0')) id = value
    }
    return done
  }
}
