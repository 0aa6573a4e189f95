import { execFile } from 'node:child_process'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, mkdir, mkdtemp, open, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { startEmbeddedPostgres } from '../server/src/database/embedded.ts'
import { migrate, ownSqlFiles } from '../server/src/database/migrate.ts'
import { createDatabase } from '../server/src/database/pool.ts'
import { createExport } from '../server/src/features/export/export.ts'
import { createLibrary } from '../server/src/features/export/library.ts'
import { systemClock } from '../server/src/kernel/clock.ts'
import { createLogger } from '../server/src/kernel/logger.ts'
import { createDiskStore } from '../server/src/storage/disk/disk-store.ts'

const run = promisify(execFile)
const QUIET = { maxBuffer: 64e6 }

const found = (...look: [string, string[]]) => run(...look).then(() => true, () => false)

/** Tools that judge an unpacked bag; each throws when it finds it invalid. `bagit`: it knows BagIt, not only hashes. */
const TOOLS: Record<string, { bagit: boolean; there: () => Promise<boolean>; judge: (bag: string) => Promise<unknown> }> = {
  'bagit.py (Library of Congress)': {
    bagit: true,
    there: () => found('python3', ['-c', 'import bagit']),
    judge: (bag) => run('python3', ['-m', 'bagit', '--validate', bag], QUIET),
  },
  'BAGIT_VALIDATOR (a command, to which the folder is added)': {
    bagit: true,
    // One that is given and cannot be started breaks the proof.
    there: async () => Boolean(process.env.BAGIT_VALIDATOR?.trim()),
    judge: (bag) => run('sh', ['-c', `${process.env.BAGIT_VALIDATOR} "$1"`, 'sh', bag], QUIET),
  },
  'sha256sum over the manifests, every payload file listed': {
    bagit: false,
    there: () => found('sha256sum', ['--version']),
    async judge(bag) {
      for (const manifest of ['manifest-sha256.txt', 'tagmanifest-sha256.txt']) await run('sha256sum', ['--check', '--strict', '--quiet', manifest], { cwd: bag, ...QUIET })
      const { stdout } = await run('sh', ['-c', `find data -type f | LC_ALL=C sort > ../found; sed 's/^[0-9a-f]*  //' manifest-sha256.txt | LC_ALL=C sort | cmp - ../found`], { cwd: bag, ...QUIET })
      if (stdout) throw new Error(stdout)
    },
  },
}

const TITLES = [
  'Plain', 'Ночь: "Луна" / 100 %', 'e\u0301tude', '..', '-rf', 'CON', 'a\nb\rc', 'trailing. ', '夜'.repeat(200), '🌙🌟', '\u202etxt.exe', '* ? < > |', "it's `$(here)` & there", ' ',
]

interface Report {
  broken: string[]
  /** No tool that knows BagIt has judged the bag: what holds is its hashes. */
  unproved: string | null
  judged: string[]
  notTried: string[]
  megabytes: number
  seconds: number
}

/** Exports a library of awkward titles and has it judged by every BagIt tool found here. `large`: with a song of 4.5 GB, for ZIP64. */
export async function bagit({ large, say }: { large: boolean; say: (line: string) => void }): Promise<Report> {
  const broken: string[] = []
  const judged: string[] = []
  const notTried: string[] = []
  const folder = await mkdtemp(join(tmpdir(), 'reprise-bagit-'))
  await chmod(folder, 0o755)
  const logger = createLogger({ level: 'error' })
  const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'data'), logger })
  const db = createDatabase({ url: postgres.url, max: 2, applicationName: 'prove bagit', logger })
  try {
    await migrate(db, { ...ownSqlFiles(), compatSchema: 'public', tables: [], logger })
    const blobs = createDiskStore({ root: join(folder, 'files') })
    const user = randomUUID()

    async function add(title: string, make: (path: string) => Promise<void>): Promise<void> {
      const id = randomUUID()
      const key = `tracks-audio/${user}/${id}.mp3`
      const path = join(folder, 'files', key)
      await mkdir(dirname(path), { recursive: true })
      await make(path)
      const hash = createHash('sha256')
      await pipeline(createReadStream(path), hash)
      await db.query(`insert into tracks (id, user_id, title, prompt, status) values ($1, $2, $3, 'a prompt', 'completed')`, [id, user, title])
      await db.query(
        `insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime, track_id) values ('tracks-audio', $1, $2, $3, $4, $5, 'audio/mpeg', $6)`,
        [key.slice(13), key, user, hash.digest('hex'), (await stat(path)).size, id])
    }
    for (const title of TITLES) await add(title, (path) => writeFile(path, randomBytes(100_000)))
    if (large) {
      await add('larger than 4 GB', async (path) => {
        await writeFile(path, 'a song with a long silence')
        await truncate(path, 4.5e9)
      })
    }

    const prepare = createExport({ library: createLibrary({ db, schema: 'public' }), blobs, damaged: async () => new Set(), suspect: (key) => void broken.push(`${key} was suspected`), version: 'prove', clock: systemClock })
    const begun = performance.now()
    const bag = await prepare(user)
    const zip = join(folder, 'bag.zip')
    const target = await open(zip, 'wx')
    await target.writeFile(bag.stream())
    await target.close()
    const seconds = Math.round((performance.now() - begun) / 100) / 10
    if ((await stat(zip)).size !== bag.bytes) broken.push(`the ZIP has ${(await stat(zip)).size} bytes, ${bag.bytes} were told`)
    if (bag.tracks !== TITLES.length + Number(large) || bag.missing.length) broken.push(`${bag.tracks} tracks, ${bag.missing.length} missing`)

    const root = join(folder, 'unpacked')
    await run('unzip', ['-q', zip, '-d', root], QUIET)
    await rm(zip)
    const [name, ...more] = await readdir(root)
    if (more.length) broken.push(`more than one folder: ${more.join(', ')}`)
    const unpacked = join(root, name!)
    let proved = false
    for (const [tool, { bagit: knows, there, judge }] of Object.entries(TOOLS)) {
      if (!(await there())) {
        say(`    NOT TRIED, it is not on this machine: ${tool}`)
        notTried.push(tool)
        continue
      }
      judged.push(tool)
      proved ||= knows
      await judge(unpacked).catch((error: Error) => broken.push(`${tool} says: ${error.message.slice(0, 500)}`))
      await spoil(unpacked, async () => {
        if (await judge(unpacked).then(() => true, () => false)) broken.push(`${tool} takes a spoilt bag for valid: it proves nothing`)
      })
    }
    if (judged.length === 0) broken.push('no tool judged the bag')
    const unproved = proved ? null : 'no BagIt tool has judged the bag, only its hashes were compared: name one in BAGIT_VALIDATOR'
    return { broken, unproved, judged, notTried, megabytes: Math.round(bag.bytes / 1e6), seconds }
  } finally {
    await db.close()
    await postgres.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Flips a byte of a song in the bag for a while. */
async function spoil(bag: string, meanwhile: () => Promise<void>): Promise<void> {
  const songs = (await readdir(join(bag, 'data'))).filter((file) => file.endsWith('.mp3'))
  const file = await open(join(bag, 'data', songs[0]!), 'r+')
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, 10)
    await file.write(Buffer.from([buffer[0]! ^ 1]), 0, 1, 10)
    await meanwhile()
    await file.write(buffer, 0, 1, 10)
  } finally {
    await file.close()
  }
}
