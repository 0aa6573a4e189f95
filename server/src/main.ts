import { ConfigError } from './config/setting.ts'
import { FolderInUseError } from './database/embedded-lock.ts'
import { DatabaseRefusedError } from './database/migrate.ts'
import { FilesFolderError } from './storage/disk/same-folder.ts'
import { start, type Role, type Running } from './start.ts'

const role = (process.argv[2] ?? 'all') as Role
if (!['all', 'api', 'worker'].includes(role)) {
  console.error(`Unknown role ${role}. Use: all, api or worker.`)
  process.exit(2)
}

let running: Running
try {
  running = await start(process.env, role)
} catch (error) {
  // What the operator can mend is told in one sentence; anything else with its stack.
  const forOperator = error instanceof ConfigError || error instanceof DatabaseRefusedError || error instanceof FolderInUseError || error instanceof FilesFolderError || (error as { code?: string }).code === 'EADDRINUSE'
  console.error(forOperator ? (error as Error).message : error)
  process.exit(1)
}

if (role !== 'worker') {
  console.log(`\n  Reprise is running at ${running.url}`)
  if (running.ownerLink) console.log(`  Sign in as its owner (works once): ${running.ownerLink}`)
  console.log('')
}

let stoppingSince: number | null = null
// SIGHUP too: closing the terminal is no reason to leave the database behind.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // npm passes on what the terminal has sent us already: only a signal some time later is a person who insists.
    if (stoppingSince !== null && Date.now() - stoppingSince > 2_000) process.exit(130)
    if (stoppingSince !== null) return
    stoppingSince = Date.now()
    void running.stop().then(() => process.exit(0))
  })
}
