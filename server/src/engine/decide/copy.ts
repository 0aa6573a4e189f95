import type { Generation, GenerationRecord } from '../state.ts'

export function copyOf(record: GenerationRecord): GenerationRecord {
  return {
    generation: { ...record.generation } as Generation,
    attempts: record.attempts.map((attempt) => ({ ...attempt })),
    results: record.results.map((result) => ({ ...result })),
  }
}

/** Unchanged parts keep their identity, so that the store writes only what changed. */
export function keepIdentity(before: GenerationRecord, after: GenerationRecord): GenerationRecord {
  const same = <T extends { id: string }>(list: T[], item: T): T => {
    const old = list.find((candidate) => candidate.id === item.id)
    return old && shallowEqual(old, item) ? old : item
  }
  return {
    generation: after.generation,
    attempts: after.attempts.map((attempt) => same(before.attempts, attempt)),
    results: after.results.map((result) => same(before.results, result)),
  }
}

function shallowEqual<T extends object>(a: T, b: T): boolean {
  return (Object.keys(b) as (keyof T)[]).every((key) => a[key] === b[key])
}
