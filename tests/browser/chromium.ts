import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser } from 'playwright-core'

/**
 * The Chromium that an npm package ships, unpacked once per version and user. The package would unpack into the temp
 * folder itself and use whatever lies there already, so it gets a folder of its own, put in place by one rename.
 */
async function executable(): Promise<string> {
  const root = join(createRequire(import.meta.url).resolve('@sparticuz/chromium'), '../..')
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
  const folder = join(tmpdir(), `reprise-chromium-${version}-${userInfo().uid}`)
  if (!existsSync(join(folder, 'chromium'))) {
    const fresh = `${folder}.${process.pid}`
    await mkdir(fresh, { recursive: true })
    const before = process.env.TMPDIR
    process.env.TMPDIR = fresh
    try {
      const { default: packed } = await import('@sparticuz/chromium')
      await packed.executablePath()
    } finally {
      if (before === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = before
    }
    // Somebody else may have been quicker; both are the same.
    await rename(fresh, folder).catch(() => rm(fresh, { recursive: true, force: true }))
  }
  return join(folder, 'chromium')
}

export async function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: await executable(),
    headless: true,
    args: [
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run',
    ],
  })
}
