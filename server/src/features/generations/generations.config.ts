import { integer, setting } from '../../config/setting.ts'

export const generationSettings = {
  deadlineSec: setting({
    env: 'GENERATION_DEADLINE_SEC',
    doc: 'When a generation that has brought nothing is timed out and its tokens given back; seconds after it was accepted.',
    schema: integer(5, 86_400),
    default: '600',
  }),
  graceSec: setting({
    env: 'SUBMIT_GRACE_SEC',
    doc: 'How long a submit whose outcome is unknown waits for a sign of the provider; seconds.',
    schema: integer(1, 3_600),
    default: '90',
  }),
}
