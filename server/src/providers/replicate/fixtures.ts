/** A prediction as the API tells it, after its documentation; a fresh copy, so that a test may bend it. */
export function prediction(status: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  const id = 'gm3qorzdhgbfurvjtvhg6dckhu'
  return {
    id, model: 'minimax/music-2.6', version: 'hidden', status,
    input: { prompt: 'a night bus through the rain', lyrics_optimizer: true }, output: null, error: null, logs: '', data_removed: false,
    metrics: {}, created_at: '2026-11-01T10:00:00.123Z', started_at: null, completed_at: null, source: 'api',
    urls: {
      get: `https://api.replicate.com/v1/predictions/${id}`, cancel: `https://api.replicate.com/v1/predictions/${id}/cancel`,
      web: `https://replicate.com/p/${id}`,
    },
    ...more,
  }
}

export const FILE = 'https://replicate.delivery/xezq/8551662c/output.mp3'
