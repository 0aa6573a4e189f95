import { integer, setting } from '../../config/setting.ts'

export const ledgerSettings = {
  signupTokens: setting({
    env: 'SIGNUP_TOKENS',
    doc: 'Tokens given to each new user, once. In the demo without this setting: 1000.',
    schema: integer(0, 1_000_000_000),
    default: '0',
  }),
}
