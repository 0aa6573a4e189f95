import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCsv, type CsvOptions } from './csv-source.ts'
import type { RawRow } from './source.ts'

describe('a CSV file', () => {
  let folder: string
  let files = 0
  beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'reprise-csv-'))))
  afterAll(() => rm(folder, { recursive: true, force: true }))

  async function read(content: string | Buffer, options: Partial<CsvOptions> = {}) {
    const file = join(folder, `${files++}.csv`)
    await writeFile(file, content)
    const source = await openCsv({ file, ...options })
    const rows: RawRow[] = []
    try {
      for await (const batch of source.read(source.columns)) rows.push(...batch.rows)
    } finally {
      await source.close()
    }
    return { columns: source.columns, rows }
  }

  it('is read with quotes, line breaks in values and Windows line ends; places are lines of the file', async () => {
    const { columns, rows } = await read('\ufeffid,lyrics,title\r\n1,"la\r\nla ""la""",One\r\n\r\n2,,"Two, again"\r\n')
    expect(columns).toEqual(['id', 'lyrics', 'title'])
    expect(rows).toEqual([{ place: 2, values: ['1', 'la\nla "la"', 'One'] }, { place: 5, values: ['2', '', 'Two, again'] }])
  })

  it.each([[';'], ['\t'], ['|']])('is read with %j between its columns without being told', async (mark) => {
    const { columns, rows } = await read(['id', 'title, or name', 'url'].join(mark) + '\n' + ['1', 'A, B', 'https://x'].join(mark))
    expect(columns).toEqual(['id', 'title, or name', 'url'])
    expect(rows[0]!.values).toEqual(['1', 'A, B', 'https://x'])
  })

  it('a row with too few values is named with its line and costs no other row', async () => {
    const { rows } = await read('a,b,c\n1,2,3\n4,5\n6,7,8\n')
    expect(rows).toEqual([{ place: 2, values: ['1', '2', '3'] }, { place: 3, values: { unreadable: 'it has 2 values, the first line names 3' } }, { place: 4, values: ['6', '7', '8'] }])
  })

  it('a stray quote costs no other row', async () => {
    const { rows } = await read('id,title\n1,12" remix\n2,"so" called\n3,ok\n')
    expect(rows.map(({ values }) => (values as string[])[0])).toEqual(['1', '2', '3'])
  })

  it('a quote that is never closed is refused, naming where it begins', async () => {
    await expect(read('id,title\n1,ok\n2,"open\n3,x\n')).rejects.toThrow(/line 3: a quote is opened and never closed/)
  })

  it('in UTF-16 it is read by its mark; in another encoding when that is named', async () => {
    const text = 'id,title\n1,Ночь\n'
    expect((await read(Buffer.from(`\ufeff${text}`, 'utf16le'))).rows[0]!.values).toEqual(['1', 'Ночь'])
    const cyrillic = Buffer.from([...Buffer.from('id,title\n1,'), 0xcd, 0xee, 0xf7, 0xfc, 0x0a])
    expect((await read(cyrillic, { encoding: 'windows-1251' })).rows[0]!.values).toEqual(['1', 'Ночь'])
  })

  it('a wrong encoding is refused, naming the first line that is not in it', async () => {
    const filler = 'x'.repeat(70_000) // beyond what is looked at for the first line
    const bytes = Buffer.concat([Buffer.from(`id,title\n1,${filler}\n2,`), Buffer.from([0xcd, 0xee]), Buffer.from('\n')])
    await expect(read(bytes)).rejects.toThrow(/line 3: this is not utf-8.*--encoding windows-1251/)
    await expect(read('id,x\n', { encoding: 'klingon' })).rejects.toThrow(/no such encoding/)
    await expect(read(Buffer.from('i\0d\0'))).rejects.toThrow(/zero bytes/)
  })

  it.each([['', /no first line/], ['id\n1\n', /one column only/], ['id,url,id\n', /names the column id twice/]])('%j is refused in words that help', async (text, says) => {
    await expect(read(text)).rejects.toThrow(says)
  })

  it('a file that is not there is refused', async () => {
    await expect(openCsv({ file: join(folder, 'nowhere.csv') })).rejects.toThrow(/There is no file/)
  })

  it('letters of several bytes are whole wherever the file is cut into pieces', async () => {
    const title = 'Ж€🎵'.repeat(100_000)
    const { rows } = await read(`id,title\n1,${title}\r\n2,ok\r\n`)
    expect((rows[0]!.values as string[])[1]).toBe(title)
    expect(rows[1]).toEqual({ place: 3, values: ['2', 'ok'] })
  })
})
