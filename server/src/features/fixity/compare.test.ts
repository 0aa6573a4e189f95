import { expect, it } from 'vitest'
import { compare, type Listed } from './compare.ts'

async function* list(text: string): AsyncGenerator<Listed> {
  for (const item of text.split(' ').filter(Boolean)) {
    const [key, bytes = '1'] = item.split(':')
    yield { key: key!, bytes: Number(bytes) }
  }
}

const differences = async (files: string, records: string) => {
  const found: string[] = []
  for await (const { key, file, record } of compare(list(files), list(records))) found.push(`${key} ${file?.bytes ?? '-'} ${record?.bytes ?? '-'}`)
  return found
}

it('answers what is on one side only, and what has another size', async () => {
  expect(await differences('a b c:7 e', 'b c:8 d e f')).toEqual(['a 1 -', 'c 7 8', 'd - 1', 'f - 1'])
})

it('is right when a side is empty', async () => {
  expect(await differences('', 'a b')).toEqual(['a - 1', 'b - 1'])
  expect(await differences('a', '')).toEqual(['a 1 -'])
  expect(await differences('', '')).toEqual([])
})

it('follows the order of bytes, not of UTF-16', async () => {
  expect(await differences('a/1 \uffee 😀', 'a/1 \uffee 😀')).toEqual([])
})
