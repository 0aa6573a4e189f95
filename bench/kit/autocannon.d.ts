/** As much of autocannon as the bench uses; the package brings no types. */
declare module 'autocannon' {
  interface Request {
    method?: 'GET' | 'POST'
    path?: string
    headers?: Record<string, string>
    body?: string
    setupRequest?: (request: Request, context: object) => Request
    onResponse?: (status: number, body: string, context: object, headers: Record<string, string>) => void
  }
  interface Options {
    url: string
    connections: number
    /** Seconds; `amount` of requests instead ends a run after that many. */
    duration?: number
    amount?: number
    requests: Request[]
  }
  interface Histogram {
    p50: number
    p90: number
    p97_5: number
    p99: number
    max: number
  }
  interface Result {
    duration: number
    errors: number
    timeouts: number
    non2xx: number
    '2xx': number
    latency: Histogram
  }
  export default function autocannon(options: Options): Promise<Result>
}
