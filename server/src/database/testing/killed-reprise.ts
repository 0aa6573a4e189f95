// A Reprise in miniature for embedded.test.ts to kill: starts the database, tells its address, waits.
import { createLogger } from '../../kernel/logger.ts'
import { startEmbeddedPostgres } from '../embedded.ts'

const server = await startEmbeddedPostgres({ dataDir: process.argv[2]!, logger: createLogger({ level: 'silent' }) })
console.log(JSON.stringify({ url: server.url, pid: server.pid }))
