import { ApiProblem } from './api.ts'
import { NotFound } from './dead-ends.tsx'
import { LoadFailed, type Asked } from './load-failed.tsx'

/** In the place of one thing that there is not, or that could not be read. */
export function Missing(props: { of: Asked; text?: string }) {
  const { data, error } = props.of
  // 422: an address that is none.
  const none = data === undefined && error instanceof ApiProblem && (error.status === 404 || error.status === 422)
  return none ? <NotFound /> : <LoadFailed {...props} />
}
