import ipaddr from 'ipaddr.js'

/**
 * True only for addresses of the open internet. Everything special is refused: loopback, private, link-local (cloud
 * metadata), carrier-grade NAT, unspecified, multicast, broadcast, reserved, documentation, and every IPv6 form that
 * carries an IPv4 address inside (mapped, compatible, translated, NAT64, 6to4, Teredo): nobody needs those to reach us.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false
  const parsed = ipaddr.parse(address)
  if (parsed.range() !== 'unicast') return false
  // Global unicast is 2000::/3; whatever lies outside is not routed, or is somebody's translation prefix.
  if (parsed.kind() === 'ipv6') return ((parsed as ipaddr.IPv6).parts[0]! & 0xe000) === 0x2000
  // Platform services that sit on "public" addresses inside a cloud's network.
  return !PLATFORM.has(parsed.toString())
}

/** Azure's host agent and Alibaba's metadata (the latter already lies in the carrier-grade range). */
const PLATFORM = new Set(['168.63.129.16', '100.100.100.200'])

/** Names that only ever mean something inside a network. Their addresses would be refused too; this asks no DNS. */
export function isInternalName(hostname: string): boolean {
  const name = hostname.replace(/\.+$/, '').toLowerCase()
  if (!name.includes('.')) return true
  return INTERNAL.test(name)
}

const INTERNAL =
  /\.(localhost|local|localdomain|internal|intranet|lan|home|corp|home\.arpa|onion|test|invalid|example)$/

/** `host` without the brackets that URLs put around IPv6. */
export const bareHost = (hostname: string): string => hostname.replace(/^\[(.*)\]$/, '$1')
