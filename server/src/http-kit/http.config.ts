import { integer, list, requiredText, setting, text, url } from '../config/setting.ts'

export const httpSettings = {
  port: setting({ env: 'PORT', doc: 'Port to listen on.', schema: integer(0, 65_535), default: '8787' }),
  host: setting({
    env: 'HOST',
    doc: 'Address to listen on. `0.0.0.0` lets other machines in.',
    schema: requiredText(),
    default: '127.0.0.1',
  }),
  publicBaseUrl: setting({
    env: 'PUBLIC_BASE_URL',
    doc:
      'Address at which browsers and providers reach Reprise, e.g. `https://music.example.com`. ' +
      'Without it Reprise works by polling alone.',
    schema: url(),
  }),
  corsOrigins: setting({
    env: 'CORS_ORIGINS',
    doc: 'Origins whose pages may call Reprise, comma separated. With `*` cookies are never accepted from elsewhere.',
    schema: list(),
    default: '*',
  }),
  metricsToken: setting({
    env: 'METRICS_TOKEN',
    doc: 'Bearer token with which a collector may read `/metrics`; operators always may.',
    schema: text(),
    secret: true,
  }),
  drainSec: setting({
    env: 'DRAIN_SEC',
    doc: 'On SIGTERM, how long answers under way may take before they are cut; seconds.',
    schema: integer(0, 600),
    default: '20',
  }),
}
