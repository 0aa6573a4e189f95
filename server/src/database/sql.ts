/** One statement and its parameters. A `name` prepares it once per connection: for hot statements only. */
export interface SqlQuery {
  text: string
  values?: readonly unknown[]
  name?: string
}

/**
 * sql`select * from t where id = ${id}`: every value becomes a parameter, never text. A nested sql`…` is put in
 * place with its own parameters.
 */
export function sql(strings: TemplateStringsArray, ...parts: unknown[]): SqlFragment {
  return new SqlFragment(strings, parts)
}

export class SqlFragment implements SqlQuery {
  readonly #strings: readonly string[]
  readonly #parts: readonly unknown[]

  constructor(strings: readonly string[], parts: readonly unknown[]) {
    this.#strings = strings
    this.#parts = parts
  }

  get text(): string {
    return this.#render([])
  }

  get values(): unknown[] {
    const values: unknown[] = []
    this.#render(values)
    return values
  }

  #render(values: unknown[]): string {
    return this.#strings.reduce((text, string, index) => {
      const part = this.#parts[index - 1]
      return text + (part instanceof SqlFragment ? part.#render(values) : `$${values.push(part)}`) + string
    })
  }
}
