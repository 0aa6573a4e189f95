/** One line of the timeline in words, for operators. */
export function eventSentence(event: Record<string, any>): string {
  const { type, state, cause, attempt, data } = event
  const sentence = (SENTENCES as Record<string, (data: any) => string>)[type]?.(data) ?? type
  const moved = data.from && data.to ? ` [${data.from} → ${data.to}]` : ''
  const why = data.code ? ` (${data.code}${data.detail ? `: ${data.detail}` : ''})` : ''
  return `${sentence}${why}${moved}${attempt ? ` · attempt ${attempt}` : ''} · ${cause}${moved ? '' : ` · ${state}`}`
}

const SENTENCES = {
  accepted_request: ({ cost }: any) => `accepted, ${cost} tokens held`,
  slot: () => 'got a slot at the provider',
  sending: () => 'the request goes out',
  retry: () => 'surely refused, tried again at the next slot',
  accepted: ({ taskId }: any) => `the provider took it as task ${taskId}`,
  adopted: ({ taskId }: any) => `a callback named the task ${taskId}`,
  unknown: () => 'nobody knows whether the provider took it',
  owner_lost: () => 'the worker was lost around the request',
  never_sent: () => 'the worker was lost before the request went out',
  hint: () => 'a callback came',
  running: ({ status }: any) => `asked the provider: ${status}`,
  partial: ({ status }: any) => `asked the provider: ${status}, something can be heard`,
  succeeded: () => 'asked the provider: done',
  unreachable: () => 'the provider could not be asked',
  result_known: ({ index }: any) => `file ${index + 1} is known`,
  stored: ({ bytes, sha256, ms }: any) => `stored ${bytes} bytes in ${ms} ms, sha256 ${String(sha256).slice(0, 16)}…`,
  complete: ({ bytes, sha256, ms }: any) => `stored ${bytes} bytes in ${ms} ms, sha256 ${String(sha256).slice(0, 16)}…; all is here`,
  unsaved: ({ final }: any) => (final ? 'a file was refused for good' : 'a download failed, tried again'),
  timed_out: () => 'time is up',
}
