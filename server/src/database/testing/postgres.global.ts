import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { createLogger } from '../../kernel/logger.ts'
import { startEmbeddedPostgres } from '../embedded.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    postgresUrl: string
  }
}

/** One real PostgreSQL for the whole run; each test file makes its own database in it (`createTestDatabase`). */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'reprise-tests-'))
  await chmod(dataDir, 0o755) // as root, the server's user must pass through
  const server = await startEmbeddedPostgres({ dataDir, logger: createLogger({ level: 'warn' }) })
  project.provide('postgresUrl', server.url)
  return async () => {
    await server.stop()
    await removeDataDir(dataDir)
  }
}

/** With the cluster, which lies elsewhere when its user could not get into the folder. */
export async function removeDataDir(dataDir: string): Promise<void> {
  const kept = await readFile(join(dataDir, 'postgres.json'), 'utf8').catch(() => undefined)
  const elsewhere = kept && (JSON.parse(kept) as { elsewhere?: string }).elsewhere
  if (elsewhere) await rm(elsewhere, { recursive: true, force: true })
  await rm(dataDir, { recursive: true, force: true })
}
