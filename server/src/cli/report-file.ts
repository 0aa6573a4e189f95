import { access, constants, rename, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { CommandRefused } from '../kernel/command-refused.ts'

/** Answers what writes a report into the file that `--report` names, as a whole. Throws CommandRefused, before any work, when its folder cannot be written. */
export async function reportWriter(option: string | undefined): Promise<(report: unknown) => Promise<void>> {
  if (option === undefined) return async () => undefined
  const file = resolve(option)
  await access(dirname(file), constants.W_OK).catch(() => Promise.reject(new CommandRefused(`--report ${option}: its folder cannot be written.`)))
  return async (report) => {
    await writeFile(`${file}.new`, `${JSON.stringify(report, null, 2)}\n`)
    await rename(`${file}.new`, file)
  }
}
