import { describe, expect, it } from 'vitest'
import { isLasting } from '../database/transient.ts'
import { createLogger } from '../kernel/logger.ts'
import { createPatientKnock } from './knock.ts'
import type { Knock, Outcome } from './store.ts'

const logger = createLogger({ level: 'silent' })
const one: Knock = { generationId: 'g', cause: 'test', evidence: { kind: 'accepted', attemptId: 'a', taskId: 'paid for' } }
const failing = (codes: string[]) => {
  let calls = 0
  return {
    get calls() {
      return calls
    },
    store: {
      async apply(): Promise<Outcome> {
        const code = codes[calls++]
        if (code) throw Object.assign(new Error(code), { code })
        return { kind: 'missing' }
      },
    },
  }
}

describe('a paid answer in our hands', () => {
  it.each([['time limit', '57014'], ['read-only', '25006'], ['disk full', '53100'], ['lock not to be had', '55P03'], ['frozen transaction', '25P03'], ['connection lost', '08006']])(
    'is offered again when the database says %s',
    async (_, code) => {
      const database = failing([code, code])
      expect(await createPatientKnock({ store: database.store, isLasting, logger }).knock(one)).toEqual({ kind: 'missing' })
      expect(database.calls).toBe(3)
    },
  )

  it.each(['23514', '22P02', '42P01'])('is not offered again when that cannot help (%s)', async (code) => {
    const database = failing([code])
    await expect(createPatientKnock({ store: database.store, isLasting, logger }).knock(one)).rejects.toThrow(code)
    expect(database.calls).toBe(1)
  })

  it('is let go soon when the process has to stop', async () => {
    const database = failing(Array(100).fill('57014'))
    const { knock, hurry } = createPatientKnock({ store: database.store, isLasting, logger })
    hurry(250)
    await expect(knock(one)).rejects.toThrow('57014')
    expect(database.calls).toBeLessThan(5)
  })
})
