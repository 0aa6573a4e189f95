import { integer, setting } from '../../config/setting.ts'

export const fixitySettings = {
  fixityDays: setting({ env: 'FIXITY_DAYS', doc: 'Every stored file is read and hashed again within so many days; a damaged one is repaired or reported.', schema: integer(1, 3650), default: '30' }),
  fixityMbPerSec: setting({ env: 'FIXITY_MB_PER_SEC', doc: 'Most megabytes a second that each worker process reads for it.', schema: integer(1, 10_000), default: '20' }),
}
