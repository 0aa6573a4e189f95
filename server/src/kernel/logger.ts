import { pino, type Logger as Pino } from 'pino'

export type Logger = Pino

/** Paths that must never be printed, wherever an object is logged. */
const SECRET_PATHS = ['authorization', 'apikey', 'token', 'password', 'secret', 'accessToken', 'callbackToken', 'cookie']

export function createLogger(options: { level?: string; pretty?: boolean } = {}): Logger {
  return pino({
    level: options.level ?? 'info',
    redact: { paths: SECRET_PATHS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
  })
}
