/** One transparent pixel. */
export const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

export const candidate = (finishReason: string, parts: unknown[] = []) => ({
  candidates: [{ content: { role: 'model', parts }, finishReason, index: 0, safetyRatings: [] }],
  promptFeedback: null, usageMetadata: { totalTokenCount: 1300 }, modelVersion: 'gemini-3.1-flash-image', responseId: 'r1',
})
export const picture = (data = PIXEL, mimeType = 'image/png') => ({ inlineData: { mimeType, data } })
export const answered = candidate('STOP', [{ text: 'Here you are.' }, picture()])

/** An error as Google words it. */
export const failure = (code: number, status: string, message = 'no', details: unknown[] = []) => ({ status: code, json: { error: { code, message, status, details } } })
