import { z } from 'zod'
import { integer, requiredText, setting, text } from './config/setting.ts'
import type { SettingGroup } from './config/docs.ts'
import { accountsSettings } from './features/accounts/accounts.config.ts'
import { archiveSettings } from './features/archive/archive.config.ts'
import { fixitySettings } from './features/fixity/fixity.config.ts'
import { generationSettings } from './features/generations/generations.config.ts'
import { imageJobsSettings } from './features/image-jobs/image-jobs.config.ts'
import { ledgerSettings } from './features/ledger/ledger.config.ts'
import { tracksSettings } from './features/tracks/tracks.config.ts'
import { murekaFunctionsSettings } from './features/mureka-functions/mureka-functions.config.ts'
import { httpSettings } from './http-kit/http.config.ts'
import { googleSettings } from './providers/google/google.config.ts'
import { murekaSettings } from './providers/mureka/mureka.config.ts'
import { replicateSettings } from './providers/replicate/replicate.config.ts'
import { sunoSettings } from './providers/suno/suno.config.ts'
import { settings as fetchSettings } from './storage/guarded-fetch.ts'
import { settings as mediaSettings } from './storage/media-url.ts'

const demoSwitch = () =>
  z.string().optional().transform((value, context) => {
    const word = (value ?? 'auto').toLowerCase()
    if (word === 'auto' || word === 'on' || word === 'off') return word
    context.addIssue({ code: 'custom', message: 'expected on, off or auto' })
    return z.NEVER
  })

export const processSettings = {
  dataDir: setting({ env: 'DATA_DIR', doc: 'Folder for files, the embedded database and the demo simulator.', schema: requiredText(), default: './data' }),
  databaseUrl: setting({ env: 'DATABASE_URL', doc: 'A PostgreSQL 15 or newer, e.g. `postgres://user:password@host/db`. Without it Reprise starts its own in `DATA_DIR`.', schema: text(), secret: true }),
  databasePool: setting({ env: 'DATABASE_POOL', doc: 'Most database connections of this process.', schema: integer(4, 200), default: '20' }),
  compatSchema: setting({ env: 'COMPAT_SCHEMA', doc: "Schema of the seeds' tables, views and functions.", schema: requiredText(), default: 'public' }),
  demo: setting({ env: 'DEMO', doc: '`on` runs the provider simulator instead of real providers; `auto` does so when neither a provider key nor `DATABASE_URL` is set.', schema: demoSwitch(), default: 'auto' }),
  demoSpeed: setting({ env: 'DEMO_SPEED', doc: 'How many times faster than a real provider the simulator is.', schema: integer(1, 1000), default: '20' }),
  logLevel: setting({ env: 'LOG_LEVEL', doc: 'trace, debug, info, warn, error or silent.', schema: requiredText(), default: 'info' }),
  leaseMs: setting({ env: 'LEASE_MS', doc: "How long a worker's claim lasts without being renewed; milliseconds. Another worker takes over after it.", schema: integer(100, 600_000), default: '10000' }),
}

/** Every setting of Reprise, grouped by the room that reads it; the documentation is made from this list. */
export const SETTING_GROUPS: SettingGroup[] = [
  { title: 'Process and database', settings: processSettings },
  { title: 'HTTP', settings: httpSettings },
  { title: 'Identity', settings: accountsSettings },
  { title: 'Generations', settings: generationSettings },
  { title: 'Images', settings: imageJobsSettings },
  { title: 'Tokens', settings: ledgerSettings },
  { title: 'Files', settings: { ...tracksSettings, ...mediaSettings, ...fetchSettings, ...murekaFunctionsSettings } },
  { title: 'Archive', settings: { ...archiveSettings, ...fixitySettings } },
  { title: 'Suno', settings: sunoSettings },
  { title: 'Mureka', settings: murekaSettings },
  { title: 'Replicate', settings: replicateSettings },
  { title: 'Google', settings: googleSettings },
]

export const allSettings = {
  ...processSettings, ...httpSettings, ...accountsSettings, ...generationSettings, ...imageJobsSettings, ...ledgerSettings, ...tracksSettings, ...mediaSettings, ...fetchSettings, ...murekaFunctionsSettings, ...archiveSettings, ...fixitySettings, ...sunoSettings, ...murekaSettings, ...replicateSettings, ...googleSettings,
}
