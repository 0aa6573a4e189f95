import pg from 'pg'
import { CommandRefused } from '../kernel/command-refused.ts'

const CONNECT_MS = 10_000

export interface Foreign {
  client: pg.Client
  /** Host and database, without user and password. */
  name: string
  /** An error of this connection in words; `more` by SQLSTATE or system code, before the usual ones. */
  refusalOf: (error: unknown, more?: Record<string, string>) => CommandRefused
}

/**
 * Connects to a database that is not ours, for a command of the operator's. `option` is where its address was given,
 * `command` how we call ourselves there. The caller ends `client`. Throws CommandRefused.
 */
export async function connectForeign(url: string, { option, command }: { option: string; command: string }): Promise<Foreign> {
  const client = clientOf(url, option, command)
  client.on('error', () => undefined) // told by the statement that needs the connection
  const name = `${client.host}/${client.database}`
  const refusalOf: Foreign['refusalOf'] = (error, more = {}) => {
    const { code = '', message } = error as { code?: string; message: string }
    return new CommandRefused(more[code] ?? usual(name)[code] ?? `${name}: ${message || code || 'the connection failed'}`, { cause: error })
  }
  await client.connect().catch((error: unknown) => Promise.reject(refusalOf(error)))
  return { client, name, refusalOf }
}

function clientOf(url: string, option: string, command: string): pg.Client {
  try {
    if (!/^postgres(ql)?:\/\//.test(url)) throw new TypeError()
    return new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS, keepAlive: true, application_name: command })
  } catch {
    throw new CommandRefused(`${option} is not the address of a PostgreSQL. Write it like postgres://user:password@host:5432/database, or env:NAME.`)
  }
}

function usual(name: string): Record<string, string> {
  const noHost = `${name}: there is no such host.`
  const notLetIn = `${name} does not let us in: wrong user or password.`
  const unknownCertificate = `${name} shows a certificate that this machine does not know. Give it (sslrootcert=FILE), or trust it unseen: sslmode=no-verify.`
  return {
    ECONNREFUSED: `Nobody answers at ${name}. Is it running, and is the port right?`, ENOTFOUND: noHost, EAI_AGAIN: noHost, '28P01': notLetIn, '28000': notLetIn,
    '3D000': `${name}: there is no such database.`,
    SELF_SIGNED_CERT_IN_CHAIN: unknownCertificate, DEPTH_ZERO_SELF_SIGNED_CERT: unknownCertificate, UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownCertificate,
  }
}
