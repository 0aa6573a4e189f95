/** What `generateContent` was asked for. */
export interface Asked {
  /** The first text: the prompt, with its fault tags. */
  prompt: string
  style: string
  aspectRatio: string
  imageSize: string
  references: Buffer[]
}

const RATIOS = ['1:1', '2:3', '3:2', '3:4', '4:3', '4:5', '5:4', '9:16', '16:9', '21:9', '1:4', '4:1', '1:8', '8:1']
const SIZES = ['512', '1K', '2K', '4K']

/** Reads the body as strictly as the service does; a text says what is wrong. */
export function readRequest(body: unknown): Asked | string {
  const { contents, generationConfig } = object(body)
  const parts = Array.isArray(contents) ? object(contents.at(-1)).parts : undefined
  if (!Array.isArray(parts) || parts.length === 0) return '* GenerateContentRequest.contents: contents is not specified'
  const texts = parts.map((part) => object(part).text).filter((text) => typeof text === 'string' && text !== '') as string[]
  if (!texts[0]) return '* GenerateContentRequest.contents[0].parts: a text is needed'
  const references: Buffer[] = []
  for (const part of parts) {
    const { inlineData } = object(part)
    if (inlineData === undefined) continue
    const { mimeType, data } = object(inlineData)
    if (typeof mimeType !== 'string' || !/^image\/(png|jpeg|webp|heic|heif)$/.test(mimeType)) return 'Unsupported MIME type'
    if (typeof data !== 'string' || !/^[A-Za-z0-9+/]+={0,2}$/.test(data)) return 'Invalid value (inline_data.data): Base64 decoding failed'
    references.push(Buffer.from(data, 'base64'))
  }
  const { responseModalities = ['TEXT', 'IMAGE'], imageConfig } = object(generationConfig)
  if (!Array.isArray(responseModalities) || !responseModalities.includes('IMAGE')) return 'The requested combination of response modalities is not supported by the model.'
  const { aspectRatio = '1:1', imageSize = '1K' } = object(imageConfig)
  if (!RATIOS.includes(aspectRatio as string)) return `Invalid value at 'generation_config.image_config.aspect_ratio': ${aspectRatio as string}`
  if (!SIZES.includes(imageSize as string)) return `Invalid value at 'generation_config.image_config.image_size': ${imageSize as string}`
  const style = /^Style: (.+)$/m.exec(texts[0])?.[1] ?? ''
  return { prompt: texts[0], style, aspectRatio: aspectRatio as string, imageSize: imageSize as string, references }
}

const object = (value: unknown): Record<string, unknown> => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {})
