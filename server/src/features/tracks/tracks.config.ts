import { flag, setting } from '../../config/setting.ts'

export const tracksSettings = {
  publicMedia: setting({
    env: 'PUBLIC_MEDIA',
    doc: 'Whether files in public buckets answer to everybody who has their unguessable address, as in the seeds. `off`: to the owner or a signature only.',
    schema: flag(),
    default: 'on',
  }),
}
