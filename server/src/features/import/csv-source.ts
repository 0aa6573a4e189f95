import { open, type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { Readable } from 'node:stream'
import { CsvError, parse, type Info } from 'csv-parse'
import { CommandRefused } from '../../kernel/command-refused.ts'
import { BATCH, type RawRow, type Source } from './source.ts'

export interface CsvOptions {
  file: string
  /** As `TextDecoder` names it; default UTF-8, or UTF-16 when the file's first bytes say so. */
  encoding?: string
  /** One character; default: whichever of comma, semicolon, tab and bar the first line has most of. */
  delimiter?: string
}

const DELIMITERS = [',', ';', '\t', '|']
const SNIFF_BYTES = 65_536
/** Longer than any row with lyrics; a row that is longer begins with a quote that is never closed. Characters. */
const LONGEST_ROW = 4_000_000

/** A CSV file whose first line names the columns. Throws CommandRefused when it is not readable as such. */
export async function openCsv({ file, encoding, delimiter }: CsvOptions): Promise<Source> {
  const handle = await open(file).catch((error: NodeJS.ErrnoException) => {
    throw new CommandRefused(error.code === 'ENOENT' ? `There is no file ${file}.` : `${file} cannot be opened: ${error.code}`)
  })
  try {
    const { size } = await handle.stat()
    const start = Buffer.alloc(Math.min(size, SNIFF_BYTES))
    await handle.read(start, 0, start.length, 0)
    const decoder = decoderFor(start, encoding, file)
    const head = headOf(start, decoder, file)
    const separator = delimiter === '\\t' ? '\t' : (delimiter ?? likeliest(head))
    if (separator.length !== 1) throw new CommandRefused('--delimiter takes one character, e.g. ";" or "\\t"')
    const columns = await headerOf(head, separator, file)
    const name = basename(file)

    return {
      name, counts: 'line', columns,
      async *read(wanted) {
        const progress = { bytes: 0 }
        const indexes = wanted.map((column) => columns.indexOf(column))
        let rows: RawRow[] = []
        for await (const { line, fields } of records(decoded(handle, decoder, file, progress), separator, name)) {
          if (line === 1) continue
          const values = fields.length === columns.length
            ? indexes.map((index) => fields[index] ?? null)
            : { unreadable: `it has ${fields.length} ${fields.length === 1 ? 'value' : 'values'}, the first line names ${columns.length}` }
          if (rows.push({ place: line, values }) < BATCH) continue
          yield { rows, done: progress.bytes, of: size }
          rows = []
        }
        yield { rows, done: size, of: size }
      },
      close: () => handle.close(),
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}

function decoderFor(start: Buffer, encoding: string | undefined, file: string): () => TextDecoder {
  const mark = start.subarray(0, 2).toString('hex')
  const name = encoding ?? (mark === 'fffe' ? 'utf-16le' : mark === 'feff' ? 'utf-16be' : 'utf-8')
  try {
    new TextDecoder(name)
  } catch {
    throw new CommandRefused(`--encoding ${name}: there is no such encoding. Try utf-8, windows-1251, windows-1252 or utf-16le.`)
  }
  if (name === 'utf-8' && start.includes(0)) {
    throw new CommandRefused(`${file} is not text in UTF-8: it holds zero bytes. If it is UTF-16, say --encoding utf-16le; a spreadsheet must be saved as CSV first.`)
  }
  return () => new TextDecoder(name, { fatal: true })
}

/** The first line, which may be the only one. */
function headOf(start: Buffer, decoder: () => TextDecoder, file: string): string {
  // Ends in the middle of a character, perhaps.
  const text = decode(decoder(), start, file, 1, true)
  const head = text.replaceAll(/\r\n?/g, '\n').split('\n', 1)[0]!
  if (head.trim() === '') throw new CommandRefused(`${file} has no first line that names its columns.`)
  return head
}

function likeliest(head: string): string {
  const unquoted = head.replaceAll(/"[^"]*"/g, '')
  const counts = DELIMITERS.map((one) => unquoted.split(one).length)
  return DELIMITERS[counts.indexOf(Math.max(...counts))]!
}

async function headerOf(head: string, delimiter: string, file: string): Promise<string[]> {
  for await (const { fields } of records(Readable.from([head]), delimiter, file)) {
    const columns = fields.map((name) => name.trim())
    if (columns.length === 1) throw new CommandRefused(`The first line of ${file} names one column only: ${columns[0]!.slice(0, 100)}. If something else stands between the columns, say --delimiter.`)
    const twice = columns.find((name, index) => name !== '' && columns.indexOf(name) < index)
    if (twice !== undefined) throw new CommandRefused(`The first line of ${file} names the column ${twice} twice.`)
    return columns
  }
  throw new CommandRefused(`${file} has no first line that names its columns.`)
}

/** The file as text with plain line ends. Throws CommandRefused naming the line that is not in this encoding. */
async function* decoded(handle: FileHandle, decoder: () => TextDecoder, file: string, progress: { bytes: number }): AsyncGenerator<string> {
  const all = decoder()
  let line = 1
  let carriage = ''
  for await (const chunk of handle.createReadStream({ start: 0, autoClose: false, highWaterMark: 262_144 }) as AsyncIterable<Buffer>) {
    const text = carriage + decode(all, chunk, file, line, true)
    carriage = text.endsWith('\r') ? '\r' : ''
    const plain = (carriage ? text.slice(0, -1) : text).replaceAll('\r\n', '\n')
    line += plain.split('\n').length - 1
    progress.bytes += chunk.length
    yield plain
  }
  yield carriage + decode(all, Buffer.alloc(0), file, line, false)
}

function decode(decoder: TextDecoder, bytes: Buffer, file: string, line: number, stream: boolean): string {
  try {
    return decoder.decode(bytes, { stream })
  } catch {
    const good = new TextDecoder(decoder.encoding) // marks what it cannot read
    const before = good.decode(bytes).split('\ufffd', 1)[0]!
    throw new CommandRefused(
      `${file}, line ${line + before.split('\n').length - 1}: this is not ${decoder.encoding}. Say how it is written: --encoding windows-1251, windows-1252, utf-16le, …`)
  }
}

async function* records(text: AsyncIterable<string>, delimiter: string, file: string): AsyncGenerator<{ line: number; fields: string[] }> {
  let last = 0
  const parser = parse({
    delimiter, info: true, relax_column_count: true, skip_empty_lines: true, max_record_size: LONGEST_ROW,
    // A quote in the middle of a value is a letter like any other: an error would take the following rows with it.
    relax_quotes: true,
    on_record: (record: unknown, context) => {
      last = (context as unknown as Info).lines
      return record as string[]
    },
  })
  const input = Readable.from(text)
  input.on('error', (error) => parser.destroy(error))
  input.pipe(parser)
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: Info }>) {
      const inside = record.reduce((count, field) => count + field.split('\n').length - 1, 0)
      yield { line: info.lines - inside, fields: record }
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    if (error.code === 'CSV_QUOTE_NOT_CLOSED' || error.code === 'CSV_MAX_RECORD_SIZE') {
      throw new CommandRefused(`${file}, in or after line ${last + 1}: a quote is opened and never closed.`)
    }
    throw new CommandRefused(`${file}: ${error.message}`)
  } finally {
    input.destroy()
  }
}
