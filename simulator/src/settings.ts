import { defaults, type SimulatorOptions } from './simulator.ts'

interface EnvSetting {
  env: string
  default: string
  doc: string
  read: (text: string) => Partial<SimulatorOptions>
}

const amount = (env: string, text: string): number => {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new RangeError(`${env}: expected a number, 0 or more`)
  return value
}

/** The environment of the process, as data: read and documented from here. */
export const settings: EnvSetting[] = [
  { env: 'SIMULATOR_HOST', default: defaults.host, doc: 'address to listen on', read: (host) => ({ host }) },
  {
    env: 'SIMULATOR_PORT',
    default: '0',
    doc: 'port; 0 = the one of the last start if free, else any',
    read: (text) => ({ port: amount('SIMULATOR_PORT', text) }),
  },
  {
    env: 'SIMULATOR_DATA',
    default: 'data/simulator',
    doc: 'folder for what survives a restart (`journal.jsonl`, `url`)',
    read: (data) => ({ data }),
  },
  {
    env: 'SIMULATOR_SPEED',
    default: '1',
    doc: '1 = like the real service (stream after 30–40 s, files after 2–3 min); 20 = twenty times faster; `0` or ' +
      '`instant` = no delays',
    read: (text) => ({ speed: text === 'instant' ? 0 : amount('SIMULATOR_SPEED', text) }),
  },
  {
    env: 'SIMULATOR_SEED',
    default: defaults.seed,
    doc: 'another seed makes other songs and pictures',
    read: (seed) => ({ seed }),
  },
  {
    env: 'SIMULATOR_KEY',
    default: defaults.key,
    doc: 'the accepted bearer; `*` accepts any',
    read: (key) => ({ key }),
  },
  {
    env: 'SIMULATOR_SONG_SECONDS',
    default: defaults.songSeconds.join('-'),
    doc: 'length of songs, seconds: a number or a range such as `30-60`',
    read: (text) => {
      const [low, high] = text.split('-').map((part) => amount('SIMULATOR_SONG_SECONDS', part))
      return { songSeconds: [low!, high ?? low!] }
    },
  },
  {
    env: 'SIMULATOR_SONG_POOL',
    default: '0',
    doc: 'how many different songs and covers exist; 0 = one for each prompt and variant; files differ by their tags',
    read: (text) => ({ songPool: amount('SIMULATOR_SONG_POOL', text) }),
  },
  {
    env: 'SIMULATOR_RATE',
    default: '20/10',
    doc: 'submits allowed for each key, `count/seconds`, or `off`',
    read: (text) => {
      if (text === 'off') return { rate: null }
      const [count, seconds] = text.split('/').map((part) => amount('SIMULATOR_RATE', part))
      return { rate: { count: count!, windowMs: (seconds ?? 1) * 1000 } }
    },
  },
  {
    env: 'SIMULATOR_CREDITS',
    default: String(defaults.credits),
    doc: 'credits at the start; 12 a task',
    read: (text) => ({ credits: amount('SIMULATOR_CREDITS', text) }),
  },
  {
    env: 'SIMULATOR_MUREKA_CONCURRENT',
    default: String(defaults.murekaConcurrent),
    doc: 'tasks that the Mureka account may run at once',
    read: (text) => ({ murekaConcurrent: amount('SIMULATOR_MUREKA_CONCURRENT', text) }),
  },
  {
    env: 'SIMULATOR_PICTURE_SIDE',
    default: String(defaults.pictureSide),
    doc: "side in pixels of Google's square 1K picture; smaller ones are made sooner",
    read: (text) => ({ pictureSide: amount('SIMULATOR_PICTURE_SIDE', text) }),
  },
  {
    env: 'SIMULATOR_GOOGLE_MODELS',
    default: defaults.googleModels.join(','),
    doc: 'models that Google serves; others are answered 404',
    read: (text) => ({ googleModels: text.split(',') }),
  },
  {
    env: 'SIMULATOR_CALLBACK_RETRY_MS',
    default: '',
    doc: 'waits between the three tries of a callback, ms (`1000,5000`); empty = 10 s and 30 s divided by the speed',
    read: (text) => ({ callbackRetryMs: text.split(',').map((part) => amount('SIMULATOR_CALLBACK_RETRY_MS', part)) }),
  },
  {
    env: 'SIMULATOR_CORS',
    default: 'off',
    doc: '`on` lets scripts of other origins read files',
    read: (text) => ({ cors: text === 'on' }),
  },
  {
    env: 'SIMULATOR_DNS_HOST',
    default: defaults.dnsHost,
    doc: 'host name used by the fault `file-url-dns`',
    read: (dnsHost) => ({ dnsHost }),
  },
]

/** Throws a RangeError that names the wrong variable. */
export function readEnvironment(env: Record<string, string | undefined>): Partial<SimulatorOptions> {
  const parts = settings.map((setting) => {
    const text = env[setting.env] || setting.default
    return text === '' ? {} : setting.read(text)
  })
  return Object.assign({}, ...parts) as Partial<SimulatorOptions>
}
