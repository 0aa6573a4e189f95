import { findFault, type Fault } from './faults.ts'

/** Only paths are stored; addresses are put together when an answer is made. */
export interface Addresses {
  /** `http://host:port` as the asker reaches us. */
  base: string
  /** Host name for the `file-url-dns` fault. */
  dnsHost: string
}

/** Where a task's sound files are said to be; the `file-url-…` faults name another host. */
export function audioBase(faults: readonly Fault[], { base, dnsHost }: Addresses): string {
  const { port } = new URL(base)
  const dns = findFault(faults, 'file-url-dns')
  const host = findFault(faults, 'file-url-decimal')
    ? '2130706433'
    : findFault(faults, 'file-url-mapped')
      ? '[::ffff:127.0.0.1]'
      : dns
        ? (dns.value ?? dnsHost)
        : null
  return host === null ? base : `http://${host}:${port || 80}`
}
