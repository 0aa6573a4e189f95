/** An ID3v2.4 tag with title, style and id: makes each file distinct even where the sound is shared. */
export function id3Tag(fields: { title: string; style: string; id: string }): Buffer {
  const frames = Buffer.concat([
    textFrame('TIT2', fields.title),
    textFrame('TCON', fields.style),
    textFrame('TPE1', 'Provider simulator'),
    textFrame('TXXX', `audio id\0${fields.id}`),
  ])
  return Buffer.concat([Buffer.from('ID3\x04\x00\x00', 'latin1'), synchsafe(frames.length), frames])
}

function textFrame(name: string, text: string): Buffer {
  // 3 = UTF-8
  const body = Buffer.from(`\x03${text}`, 'utf8')
  return Buffer.concat([Buffer.from(name, 'latin1'), synchsafe(body.length), Buffer.from([0, 0]), body])
}

/** ID3 writes lengths with seven bits a byte. */
const synchsafe = (size: number) =>
  Buffer.from([(size >> 21) & 0x7f, (size >> 14) & 0x7f, (size >> 7) & 0x7f, size & 0x7f])
