/** 32 kHz loses nothing: at 128 kbit/s the encoder cuts above 16 kHz anyway, and it is a quarter less work. */
export const SAMPLE_RATE = 32_000
const FRAME = 1152
/** The encoder adds two frames of its own, which makes its files longer than the sound given to it. */
const PADDING = 2

const frames = (seconds: number) => Math.max(PADDING + 2, Math.round((seconds * SAMPLE_RATE) / FRAME))

/** Samples to give to the encoder so that the file lasts `fileSeconds(seconds)`. */
export const samplesFor = (seconds: number): number => (frames(seconds) - PADDING) * FRAME

/** The true duration of the file asked for with `seconds`: the nearest whole MP3 frame. Known before rendering. */
export const fileSeconds = (seconds: number): number => (frames(seconds) * FRAME) / SAMPLE_RATE
