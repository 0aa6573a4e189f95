const AUDIO = /\.(mp3|wav|flac|m4a|aac|ogg|opus)$/i

/** Whether songs may be fetched from an address that somebody else has told. */
export interface AudioUrlRules {
  /** These hosts and their subdomains, https only. */
  hosts: readonly string[]
  /** `host` or `host:port` that may also be plain http: development only. */
  allowHosts: readonly string[]
}

/** Seed 000's rule: https, a configured host (exact or subdomain), an audio extension. */
export function isValidAudioUrl(text: string, { hosts, allowHosts }: AudioUrlRules): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password, hostname, host, port, pathname } = new URL(text)
  if (username || password || !AUDIO.test(pathname)) return false
  const allowed = allowHosts.map((one) => one.toLowerCase())
  if (/^https?:$/.test(protocol) && (allowed.includes(hostname) || allowed.includes(host))) return true
  return protocol === 'https:' && port === '' && hosts.some((one) => hostname === one.toLowerCase() || hostname.endsWith(`.${one.toLowerCase()}`))
}
