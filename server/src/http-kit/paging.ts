import { z } from '@hono/zod-openapi'
import { AppError } from '../kernel/errors.ts'

/** `?limit=&cursor=` of every list. */
export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20).openapi({ description: 'How many at most', example: 20 }),
  cursor: z.string().max(500).optional().openapi({ description: '`nextCursor` of the page before' }),
})

/** `{items, nextCursor}`; `nextCursor` is null on the last page. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() })

/** A time in a cursor, as our own are: PostgreSQL has no year 0. */
export const cursorTime = z.iso.datetime().refine((time) => !time.startsWith('0000'))

/** Where a list goes on: the sort key of the last row, e.g. `[createdAt, id]`. Opaque to clients. */
export const encodeCursor = (key: unknown): string => Buffer.from(JSON.stringify(key)).toString('base64url')

/** Undefined without a cursor; 422 for one that we did not make. */
export function decodeCursor<T>(schema: z.ZodType<T>, cursor: string | undefined): T | undefined {
  if (cursor === undefined) return undefined
  try {
    const text = Buffer.from(cursor, 'base64url').toString()
    // Ours need no escapes; with them come characters that the database cannot keep.
    if (text.includes('\\')) throw new Error('not ours')
    return schema.parse(JSON.parse(text))
  } catch {
    throw new AppError('validation_failed', {}, [{ path: 'cursor', rule: 'cursor', message: '' }])
  }
}
