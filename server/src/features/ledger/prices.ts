import type { Database } from '../../database/pool.ts'
import { AppError } from '../../kernel/errors.ts'

export interface Price {
  kind: string
  /** `*`: every provider. */
  provider: string
  /** `*`: every model. */
  model: string
  tokensPerResult: number
}

export interface PriceChange {
  id: number
  at: Date
  kind: string
  provider: string
  model: string
  /** Null: there was no such price. */
  before: number | null
  /** Null: it was taken away. */
  after: number | null
  actor: string
}

type Name = Omit<Price, 'tokensPerResult'>

/**
 * What results cost. A price holds for what is accepted afterwards: what was accepted before has its tokens set aside
 * by the price of that moment. Every change is written down with who and when.
 * @param deps.modelsOf of each provider that can be asked, by id, the models that it lists; empty: any may be named.
 */
export function createPrices({ db, modelsOf }: { db: Database; modelsOf: Record<string, string[]> }) {
  /** A price under a name that nothing has would never be looked up, and nobody would see why. */
  const refuseUnknown = ({ provider, model }: Name): void => {
    if (provider !== '*' && !Object.hasOwn(modelsOf, provider)) throw unknown('provider', Object.keys(modelsOf))
    const models = provider === '*' ? Object.values(modelsOf) : [modelsOf[provider]!]
    if (model !== '*' && models.every(({ length }) => length > 0) && !models.flat().includes(model)) throw unknown('model', models.flat())
  }

  /** Changes one line; `change` gets what it was and answers what it is to be, null for no line. Throws what it throws. */
  const rewrite = (name: Name, actor: string, change: (before: number | null, hasGeneral: boolean) => number | null) => db.transaction(async (tx) => {
    // One change after the other; readers and new requests do not wait.
    await tx.query('lock table reprise.prices in share row exclusive mode')
    const values = [name.kind, name.provider, name.model]
    const { rows: [found] } = await tx.query<{ before: number | null; general: boolean }>(
      `select (select tokens from reprise.prices where kind = $1 and provider = $2 and model = $3) as before,
         exists (select from reprise.prices where kind = $1 and provider = '*' and model = '*') as general`, values)
    const { before, general } = found!
    const after = change(before, general)
    if (after === before) return
    if (after === null) await tx.query('delete from reprise.prices where kind = $1 and provider = $2 and model = $3', values)
    else await tx.query(
      `insert into reprise.prices (kind, provider, model, tokens) values ($1, $2, $3, $4)
       on conflict (kind, provider, model) do update set tokens = excluded.tokens, updated_at = reprise.now()`, [...values, after])
    await tx.query('insert into reprise.price_changes (kind, provider, model, before, after, actor) values ($1, $2, $3, $4, $5, $6)', [...values, before, after, actor])
  })

  return {
    async list(): Promise<Price[]> {
      const { rows } = await db.query<Price>('select kind, provider, model, tokens as "tokensPerResult" from reprise.prices order by kind, provider, model')
      return rows
    },

    /** Sets a price. AppError `not_found` for a kind, provider or model that nothing of ours has. */
    async set({ tokensPerResult, ...name }: Price, actor: string): Promise<void> {
      refuseUnknown(name)
      await rewrite(name, actor, (_, hasGeneral) => {
        if (!hasGeneral) throw new AppError('not_found')
        return tokensPerResult
      })
    },

    /** Takes a special price away; the more general one holds again. AppError `not_found`; `conflict` for a kind's only price. */
    async remove(name: Name, actor: string): Promise<void> {
      await rewrite(name, actor, (before) => {
        if (before === null) throw new AppError('not_found')
        if (name.provider === '*' && name.model === '*') throw new AppError('conflict')
        return null
      })
    },

    /** Newest first. */
    async changes(limit: number, before: number | null): Promise<PriceChange[]> {
      const { rows } = await db.query<PriceChange>(
        `select id, at, kind, provider, model, before, after, actor from reprise.price_changes where $1::bigint is null or id < $1 order by id desc limit $2`, [before, limit])
      return rows
    },
  }
}

const unknown = (path: 'provider' | 'model', known: string[]) =>
  new AppError('not_found', {}, [{ path, rule: 'one_of', message: `There is no such ${path} here; choose * or one of ${known.join(', ')}.` }])

export type Prices = ReturnType<typeof createPrices>
