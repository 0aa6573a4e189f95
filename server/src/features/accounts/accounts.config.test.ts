import { describe, expect, it } from 'vitest'
import { accountsSettings } from './accounts.config.ts'
import { httpSettings } from '../../http-kit/http.config.ts'
import { configurationPage, duplicateNames, envExample } from '../../config/docs.ts'
import { ConfigError, readSettings } from '../../config/setting.ts'

const groups = [
  { title: 'HTTP', settings: httpSettings },
  { title: 'Accounts', settings: accountsSettings },
]

describe('configuration docs', () => {
  it('every setting is on the page and in the example, under its room, with default and aliases', () => {
    const page = configurationPage(groups)
    const example = envExample(groups)
    for (const { settings } of groups)
      for (const { env } of Object.values(settings)) {
        expect(page).toContain(`\`${env}\``)
        expect(example).toContain(`\n#${env}=`)
      }
    expect(page).toContain('| `PORT` | `8787` |')
    expect(page).toContain('`SERVICE_ROLE_KEY` or `SUPABASE_SERVICE_ROLE_KEY`')
    expect(example).toContain('# --- Accounts ---')
    // Copying the example as it is changes nothing.
    expect(example.split('\n').every((line) => line === '' || line.startsWith('#'))).toBe(true)
  })

  it('no variable is read by two settings', () => {
    expect(duplicateNames(groups)).toEqual([])
    expect(duplicateNames([...groups, groups[0]!])).toContain('PORT')
  })
})

describe('settings', () => {
  const read = (env: Record<string, string>) => readSettings({ ...httpSettings, ...accountsSettings }, env)

  it('nothing set gives the documented defaults', () => {
    expect(read({})).toMatchObject({ port: 8787, host: '127.0.0.1', corsOrigins: ['*'], jwtSecret: undefined })
    expect(read({ HOST: '' }).host).toBe('127.0.0.1')
    expect(read({ SUPABASE_SERVICE_ROLE_KEY: 'key' }).serviceRoleKey).toBe('key')
  })

  it('a short JWT_SECRET is refused with what to do, and is not printed', () => {
    const start = () => read({ JWT_SECRET: 'hunter2', PORT: '99999', JWKS_URL: 'ftp://x' })
    expect(start).toThrow(ConfigError)
    expect(start).toThrow(/JWT_SECRET: expected at least 32 bytes.*\n.*JWKS_URL|PORT: expected a whole number/s)
    expect(start).not.toThrow(/hunter2/)
    expect(read({ JWT_SECRET: 'é'.repeat(16) }).jwtSecret).toHaveLength(16)
  })
})
