import { createHash, randomBytes, randomUUID } from 'node:crypto'

/** Random identifiers are handed in where a test wants to choose them. */
export interface Ids {
  uuid(): string
  /** An unguessable URL-safe secret of 32 bytes (callback tokens, one-time links). */
  secret(): string
}

export const systemIds: Ids = {
  uuid: () => randomUUID(),
  secret: () => randomBytes(32).toString('base64url'),
}

export const sha256 = (text: string | Uint8Array): Buffer => createHash('sha256').update(text).digest()
export const sha256Hex = (text: string | Uint8Array): string => sha256(text).toString('hex')

/** A stable UUID for any text: the same subject of a foreign token is always the same user. */
export function stableUuid(text: string): string {
  const bytes = sha256(`reprise:${text}`).subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
export const isUuid = (text: string): boolean => UUID.test(text)
