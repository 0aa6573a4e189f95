import type { Database } from '../../database/pool.ts'
import type { Ids } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/logger.ts'

/** Well within the 45 s that a download's lease lasts. */
const RENEW_MS = 15_000

interface Deps {
  db: Database
  schema: string
  ids: Ids
  logger: Logger
}

/**
 * Asks for the operation lock of a track's download before anybody fetches it: a function of the team that holds it and
 * Reprise never fetch the same result at once. Tracks of no generation are free. Every lease has an owner of its own, so
 * that nobody who slept releases or renews what another has by now.
 */
export function createDownloadGuard({ db, schema, ids, logger }: Deps) {
  return async function guard(trackId: string): Promise<{ release(): Promise<void> } | { busySec: number }> {
    const owner = `reprise ${ids.uuid()}`
    const take = async () => (await db.query<{ busySec: number | null }>('select reprise.take_download($1, $2) as "busySec"', [trackId, owner])).rows[0]!.busySec
    const busySec = await take()
    if (busySec !== null) return { busySec }
    const renewal = setInterval(() => {
      take().catch((error) => logger.warn({ err: error, trackId }, 'the lock of a download could not be renewed; it lapses if this goes on'))
    }, RENEW_MS).unref()
    return {
      async release() {
        clearInterval(renewal)
        await db.query(`select "${schema}".release_operation_lock(reprise.download_key($1), $2)`, [trackId, owner])
          .catch((error) => logger.warn({ err: error, trackId }, 'the lock of a download could not be released; it lapses'))
      },
    }
  }
}
