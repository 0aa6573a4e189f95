import { isInternalName, isPublicAddress, bareHost } from '../../storage/address.ts'
import { isIP } from 'node:net'

export type CallbackAddress = { base: string; problem: null } | { base: string | null; problem: 'not_configured' | 'invalid' }

/**
 * Where a provider can call us back. A provider on loopback (the simulator) reaches our own address, any other needs
 * a public https address; without one everything works by polling alone.
 */
export function callbackAddress(options: { publicBaseUrl: string | undefined; ownUrl: string; providerBaseUrl: string }): CallbackAddress {
  const { publicBaseUrl, ownUrl, providerBaseUrl } = options
  if (isLoopback(providerBaseUrl)) return { base: publicBaseUrl ?? ownUrl, problem: null }
  if (!publicBaseUrl) return { base: null, problem: 'not_configured' }
  const { protocol, hostname } = new URL(publicBaseUrl)
  const host = bareHost(hostname)
  const reachable = protocol === 'https:' && (isIP(host) ? isPublicAddress(host) : !isInternalName(host))
  return reachable ? { base: publicBaseUrl, problem: null } : { base: null, problem: 'invalid' }
}

function isLoopback(url: string): boolean {
  const host = bareHost(new URL(url).hostname)
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
