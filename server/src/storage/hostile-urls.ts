/**
 * Addresses that must never be fetched, made from a seed: tests take some hundred, `prove` takes thousands.
 * Fetched naively, very many of them reach a server on this machine's `canaryPort`.
 * Names under `HOSTILE_ZONE` need `hostileResolver`, so that no real DNS is asked.
 */
export function hostileUrls(seed: number, count: number, canaryPort: number): string[] {
  const random = seeded(seed)
  return Array.from({ length: count }, () => hostileUrl(random, canaryPort))
}

export const HOSTILE_ZONE = 'hostile-zone.dev'

type Answer = (error: Error | null, found: { address: string; family: number }[]) => void

/** Answers `<dashed address>.hostile-zone.dev` with that address, `mixed-…` with a public one before it. */
export function hostileResolver(host: string, _how: unknown, done: Answer): void {
  const label = host.split('.')[0]!
  const mixed = label.startsWith('mixed-')
  const text = mixed ? label.slice(6) : label
  const address = text.startsWith('v6-') ? text.slice(3).replaceAll('-', ':') : text.replaceAll('-', '.')
  const found = { address, family: address.includes(':') ? 6 : 4 }
  done(null, mixed ? [{ address: '93.184.216.34', family: 4 }, found] : [found])
}

/** mulberry32: small, good enough, the same everywhere. Returns numbers in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

type Octets = [number, number, number, number]

function hostileUrl(random: () => number, port: number): string {
  const upTo = (limit: number) => Math.floor(random() * limit)
  const one = <T>(...choices: T[]): T => choices[upTo(choices.length)]!
  const octet = () => upTo(256)

  const v4 = (): Octets =>
    one<() => Octets>(
      () => [127, 0, 0, 1],
      () => [127, octet(), octet(), octet()],
      () => [0, 0, 0, 0],
      () => [0, octet(), octet(), octet()],
      () => [10, octet(), octet(), octet()],
      () => [172, 16 + upTo(16), octet(), octet()],
      () => [192, 168, octet(), octet()],
      () => [169, 254, 169, 254],
      () => [169, 254, octet(), octet()],
      () => [100, 64 + upTo(64), octet(), octet()],
      () => [100, 100, 100, 200],
      () => [168, 63, 129, 16],
      () => [192, 0, 0, octet()],
      () => [192, 0, 2, octet()],
      () => [198, 18 + upTo(2), octet(), octet()],
      () => [198, 51, 100, octet()],
      () => [203, 0, 113, octet()],
      () => [224 + upTo(16), octet(), octet(), octet()],
      () => [240 + upTo(15), octet(), octet(), octet()],
      () => [255, 255, 255, 255],
    )()
  const hex = (number: number) => number.toString(16)
  const octal = (number: number) => `0${number.toString(8)}`
  const whole = ([a, b, c, d]: Octets) => ((a * 256 + b) * 256 + c) * 256 + d
  const halves = ([a, b, c, d]: Octets) => `${hex(a * 256 + b)}:${hex(c * 256 + d)}`
  const fullWidth = (text: string) => text.replace(/[0-9]/g, (digit) => String.fromCodePoint(0xff10 + Number(digit)))

  const spelled = (ip: Octets): string =>
    one<() => string>(
      () => ip.join('.'),
      () => `${ip.join('.')}.`,
      () => String(whole(ip)),
      () => `0x${hex(whole(ip))}`,
      () => `0X${hex(whole(ip)).toUpperCase()}`,
      () => octal(whole(ip)),
      () => ip.map((part) => `0x${hex(part)}`).join('.'),
      () => ip.map(octal).join('.'),
      () => ip.map((part) => `00000${octal(part)}`).join('.'),
      () => `${ip[0]}.${(ip[1] * 256 + ip[2]) * 256 + ip[3]}`,
      () => `${ip[0]}.${ip[1]}.${ip[2] * 256 + ip[3]}`,
      () => `0x${hex(ip[0])}.${octal(ip[1])}.${ip[2] * 256 + ip[3]}`,
      () => fullWidth(ip.join('.')),
      () => ip.join('。'),
      () => ip.join('%2e'),
      () => encodeEvery(ip.join('.')),
    )()
  const v6 = (): string => {
    const ip = v4()
    return one(
      '::1',
      '::',
      '0:0:0:0:0:0:0:1',
      `::ffff:${ip.join('.')}`,
      `::ffff:${halves(ip)}`,
      `0:0:0:0:0:ffff:${halves(ip)}`,
      `::${ip.join('.')}`,
      `::ffff:0:${halves(ip)}`,
      `64:ff9b::${ip.join('.')}`,
      `64:ff9b:1::${halves(ip)}`,
      `2002:${halves(ip)}::1`,
      `2001:0:${halves(ip)}::`,
      `fe80::${hex(upTo(65536))}`,
      `fc00::${hex(upTo(65536))}`,
      `fd${hex(16 + upTo(240))}::1`,
      `fec0::1`,
      `ff02::${hex(1 + upTo(65535))}`,
      `100::${hex(upTo(65536))}`,
      '2001:db8::1',
      '5f00::1',
      '4000::1',
      'fd00:ec2::254',
    )
  }
  const dashedV6 = () =>
    `v6-${one('::1', '::ffff:7f00:1', 'fe80::1', 'fd00::1', '64:ff9b::7f00:1').replaceAll(':', '-')}`
  const name = (): string =>
    one<() => string>(
      () => one('localhost', 'LOCALHOST', 'localhost.', 'sub.localhost', 'localhost.localdomain', 'router', 'db.local'),
      () => one('metadata.google.internal', 'kubernetes.default.svc.cluster.local', 'printer.lan', 'nas.home.arpa'),
      () => `${v4().join('-')}.${HOSTILE_ZONE}`,
      () => `mixed-${v4().join('-')}.${HOSTILE_ZONE}`,
      () => `${dashedV6()}.${HOSTILE_ZONE}`,
    )()
  const host = () => one(() => spelled(v4()), () => spelled(v4()), () => `[${v6()}]`, name)()
  const path = () => one('', '/', '/song.mp3', '/latest/meta-data/', '/%2e%2e/', `/?r=${upTo(1e6)}`, '/#@example.com')
  const at = (scheme: string) => `${scheme}${host()}${one(`:${port}`, `:${port}`, '')}${path()}`

  return one<() => string>(
    () => at('https://'),
    () => at('https://'),
    () => at('https://'),
    () => at('http://'),
    () => at(one('HTTPS://', 'https:/', 'https:', 'https:\\\\', ' https://', 'ht\ttps://', 'https:/\n/')),
    () => `https://${one('cdn.example.com', 'user:password', 'a%40b')}@${host()}:${port}${path()}`,
    () => `https://127.0.0.1:${port}\\@cdn.example.com/`,
    () => `http://cdn${upTo(99)}.example.com/song.mp3`,
    () => `${one('file', 'ftp', 'gopher', 'data', 'javascript', 'blob', 'ws', 'wss', 'jar')}://${host()}:${port}/`,
    () => one('', '/', '//', 'song.mp3', 'https://', 'https://[', 'https://%00/', 'file:///etc/passwd', 'data:,x'),
    () => `//${host()}:${port}/`,
  )()
}

const encodeEvery = (text: string): string =>
  [...text].map((letter) => `%${letter.charCodeAt(0).toString(16).padStart(2, '0')}`).join('')
