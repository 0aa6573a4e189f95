/** Payloads written after the endpoint's documentation; fresh copies, so that a test may bend them. */
export const choice = (index: number): Record<string, unknown> => ({
  index,
  id: `88${index}`,
  url: `https://cdn.mureka.ai/song-${index}.mp3`,
  flac_url: `https://cdn.mureka.ai/song-${index}.flac`,
  stream_url: `https://cdn.mureka.ai/stream/song-${index}`,
  duration: 172_000 + index,
  lyrics_sections: [
    { section_type: 'verse', start: 0, end: 21_000, lines: [{ start: 0, end: 4000, text: 'Rain on the roof' }, { start: 4000, end: 8000, text: 'and on me' }] },
    { section_type: 'chorus', start: 21_000, end: 40_000, lines: [{ start: 21_000, end: 25_000, text: 'Stay' }] },
  ],
})

/** The answer of a query; without choices as while it runs. */
export const task = (status: string, choices?: unknown, more: Record<string, unknown> = {}) => ({
  id: '1436211',
  created_at: 1_677_610_602,
  model: 'mureka-7.5',
  status,
  failed_reason: '',
  ...(choices !== undefined && { choices }),
  ...more,
})

export const error = (status: number, message: string) => ({ status, json: { error: { message }, trace_id: '1286' } })
