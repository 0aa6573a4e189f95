#!/usr/bin/env node
import { join } from 'node:path'
import { allSettings } from '../app.config.ts'
import { readSettings } from '../config/setting.ts'
import { embeddedUrl } from '../database/embedded.ts'
import { createDatabase, type Database } from '../database/pool.ts'
import { createLogger } from '../kernel/logger.ts'
import { doctor } from './doctor.ts'
import { explain } from './explain.ts'

const HELP = `reprise: runs long AI media generations and never loses one

  reprise start [all|api|worker]   starts Reprise (as npm start does)
  reprise explain <id>             what happened to a generation or job, what it cost, what comes next
  reprise import                   archives tracks that a team has already (reprise import --help)
  reprise export <user> <file>     writes a user's whole library into a ZIP (a BagIt bag)
  reprise repair-stuck             closes stuck jobs and gives their tokens back (reprise repair-stuck --help)
  reprise doctor                   looks at everything that a start depends on, a plain finding each
  reprise db-url                   the address of the database in use
  reprise owner-link               a new one-time sign-in link for the owner

Settings come from the environment: docs/configuration.md.`

const [command, ...rest] = process.argv.slice(2)
const config = () => readSettings(allSettings, process.env)

/** The configured database, or the embedded one of a running Reprise. */
function databaseUrl(): string {
  const { databaseUrl: configured, dataDir } = config()
  const url = configured ?? embeddedUrl(dataDir)
  if (!url) throw new Error(`There is no database yet: DATABASE_URL is not set, and nothing was ever started in DATA_DIR (${dataDir}).`)
  return url
}

async function withDatabase<T>(work: (db: Database) => Promise<T>): Promise<T> {
  const db = createDatabase({ url: databaseUrl(), max: 2, applicationName: 'reprise cli', logger: createLogger({ level: 'silent' }) })
  try {
    return await work(db)
  } finally {
    await db.close()
  }
}

async function run(): Promise<number> {
  switch (command) {
    case 'start':
      process.argv = [process.argv[0]!, process.argv[1]!, ...rest]
      await import('../main.ts')
      return -1
    case 'explain': {
      if (!rest[0]) throw new Error('Which one? reprise explain <generation id or job id>')
      const text = await withDatabase((db) => explain(db, rest[0]!))
      console.log(text ?? `Nothing is known under ${rest[0]}.`)
      return text ? 0 : 1
    }
    case 'export': {
      const [user, file] = rest
      if (!user || !file) throw new Error('Whose, and where to? reprise export <user id> <file.zip>')
      const { exportLibrary } = await import('./export.ts')
      const { createDiskStore } = await import('../storage/disk/disk-store.ts')
      const { VERSION } = await import('../start.ts')
      const { dataDir, compatSchema: schema } = config()
      console.log(await withDatabase((db) => exportLibrary({ db, schema, blobs: createDiskStore({ root: join(dataDir, 'files') }), version: VERSION }, user, file)))
      return 0
    }
    case 'doctor': {
      const findings = await doctor(config(), databaseUrl)
      for (const { level, about, says } of findings) console.log(`${{ good: '  ok ', note: 'note ', bad: 'BAD  ' }[level]} ${about}: ${says}`)
      return findings.some(({ level }) => level === 'bad') ? 1 : 0
    }
    case 'import': {
      const { importCommand } = await import('./import.ts')
      const stopping = new AbortController()
      // The second signal ends it at once, which does no harm either.
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stopping.abort())
      return importCommand(rest, { config: config(), databaseUrl, env: process.env, stdout: process.stdout, stderr: process.stderr, signal: stopping.signal })
    }
    case 'repair-stuck': {
      const { repairCommand } = await import('./repair-stuck.ts')
      return repairCommand(rest, { databaseUrl, env: process.env, stdout: process.stdout, stderr: process.stderr })
    }
    case 'db-url':
      console.log(databaseUrl())
      return 0
    case 'owner-link': {
      const { createAccounts } = await import('../features/accounts/accounts.ts')
      const { openWallet } = await import('../features/ledger/ledger.ts')
      const { systemClock } = await import('../kernel/clock.ts')
      const { systemIds } = await import('../kernel/ids.ts')
      const { publicBaseUrl, host, port, signupTokens, sessionDays } = config()
      const path = await withDatabase((database) =>
        createAccounts({ database, onNewUser: openWallet(signupTokens), sessionSecret: 'not used for links', sessionDays, clock: systemClock, ids: systemIds }).createOwnerLink())
      console.log(`${publicBaseUrl ?? `http://${host}:${port}`}${path}`)
      return 0
    }
    default:
      console.log(HELP)
      return command === undefined || command === 'help' || command === '--help' ? 0 : 2
  }
}

try {
  const code = await run()
  if (code >= 0) process.exitCode = code
} catch (error) {
  const { code, message } = error as { code?: string; message: string }
  console.error(code === 'ECONNREFUSED' ? 'The database does not answer. Is Reprise running?' : message)
  process.exitCode = 1
}
