export interface Listed {
  key: string
  bytes: number
}

/** A key that only one side has, or that has another size there; null where it is not. */
export interface Difference {
  key: string
  file: Listed | null
  record: Listed | null
}

/** Reads two lists side by side, both in the order of their keys' bytes, and answers where they differ. */
export async function* compare(files: AsyncIterable<Listed>, records: AsyncIterable<Listed>): AsyncGenerator<Difference> {
  const [left, right] = [files[Symbol.asyncIterator](), records[Symbol.asyncIterator]()]
  const next = async (side: AsyncIterator<Listed>) => {
    const step = await side.next()
    return step.done ? null : step.value
  }
  try {
    let [file, record] = [await next(left), await next(right)]
    while (file || record) {
      const order = !file ? 1 : !record ? -1 : Buffer.compare(Buffer.from(file.key), Buffer.from(record.key))
      if (order < 0) {
        yield { key: file!.key, file, record: null }
        file = await next(left)
      } else if (order > 0) {
        yield { key: record!.key, file: null, record }
        record = await next(right)
      } else {
        if (file!.bytes !== record!.bytes) yield { key: file!.key, file, record }
        ;[file, record] = [await next(left), await next(right)]
      }
    }
  } finally {
    await Promise.all([left.return?.(), right.return?.()])
  }
}
