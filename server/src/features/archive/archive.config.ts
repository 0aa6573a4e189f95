import { z } from 'zod'
import { integer, setting, text } from '../../config/setting.ts'

export const archiveSettings = {
  archiveParallel: setting({ env: 'ARCHIVE_PARALLEL', doc: 'Most tracks that one process archives at once.', schema: integer(1, 256), default: '16' }),
  appLinkBase: setting({ env: 'APP_LINK_BASE', doc: "With which links in notices begin, e.g. `https://app.example.com`. Without it they lead to Reprise's own page.", schema: text() }),
  storagePricePerGb: setting({
    env: 'STORAGE_PRICE_PER_GB', doc: "What a gigabyte of storage costs a month, in US dollars, for the archive's forecast.",
    schema: z.string().transform((value, context) => {
      const price = Number(value)
      if (Number.isFinite(price) && price >= 0) return price
      context.addIssue({ code: 'custom', message: 'expected a number of dollars' })
      return z.NEVER
    }), default: '0.021',
  }),
}
