import { integer, secretText, setting, text, url } from '../../config/setting.ts'

export const accountsSettings = {
  jwtSecret: setting({
    env: 'JWT_SECRET',
    doc: 'Secret with which your Supabase or other issuer signs its HS256 tokens; at least 32 bytes.',
    schema: secretText(32),
    secret: true,
  }),
  jwksUrl: setting({
    env: 'JWKS_URL',
    doc: 'Address of the public keys of an issuer that signs with RS256 or ES256. May be set beside `JWT_SECRET`.',
    schema: url(),
  }),
  jwtIssuer: setting({
    env: 'JWT_ISSUER',
    doc: 'When set, only tokens with this `iss` are accepted.',
    schema: text(),
  }),
  jwtAudience: setting({
    env: 'JWT_AUDIENCE',
    doc: 'When set, only tokens with this `aud` are accepted (Supabase: `authenticated`).',
    schema: text(),
  }),
  serviceRoleKey: setting({
    env: 'SERVICE_ROLE_KEY',
    aliases: ['SUPABASE_SERVICE_ROLE_KEY'],
    doc: 'Key with which your own back end acts for any user; also accepted literally as a bearer token.',
    schema: text(),
    secret: true,
  }),
  anonKey: setting({
    env: 'SUPABASE_ANON_KEY',
    doc: 'Public key of your Supabase project. A bearer that is only this key means "not signed in".',
    schema: text(),
  }),
  sessionDays: setting({
    env: 'SESSION_DAYS',
    doc: 'How long a sign-in on the web page lasts; days.',
    schema: integer(1, 365),
    default: '30',
  }),
}
