/** Connection lost or refused (08), too many (53300), stopping or starting (57P0x), lost a race (40001, 40P01). */
const SQL_STATES = /^(08...|53300|57P0[1235]|40001|40P01)$/
const SYSTEM_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
])
/** What pg says without a code. */
const MESSAGES = [
  'Connection terminated',
  'timeout exceeded when trying to connect',
  'timeout expired',
  'Query read timeout',
  'Client has encountered a connection error',
  'Client was closed',
  'Cannot use a pool after calling end',
]

/**
 * Whether the database was out of reach or lost a race, so that the same request may succeed later (503, retry).
 * After a lost connection the outcome of a COMMIT is unknown: only repeat what is idempotent.
 */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = (error as { code?: unknown }).code
  if (typeof code === 'string' && (SQL_STATES.test(code) || SYSTEM_CODES.has(code))) return true
  return MESSAGES.some((start) => error.message.startsWith(start)) || isTransient(error.cause)
}

/** The connection itself is of no use any more. */
export function isBroken(error: unknown): boolean {
  const code = (error as { code?: unknown }).code
  return isTransient(error) && code !== '40001' && code !== '40P01'
}

/** Repeating cannot help: the statement or its data is wrong, or our own code is. Everything else may pass. */
export function isLasting(error: unknown): boolean {
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) return true
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' && /^(22|23|42|P0)...$/.test(code)
}
