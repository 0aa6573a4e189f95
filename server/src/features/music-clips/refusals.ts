import type { ErrorCode } from '../../kernel/errors.ts'
import { label, type Language } from '../../texts/texts.ts'

/**
 * Refusals of seed 001's endpoints: HTTP status and the words in three languages. Where the seed fixes a text it is
 * the first; `CALLBACK_URL_NOT_CONFIGURED` is English in the seed itself.
 */
export const REFUSALS = {
  UNAUTHORIZED: { status: 401, ru: 'Требуется авторизация.', en: 'Please sign in.', fr: 'Veuillez vous connecter.' },
  USER_MISMATCH: { status: 403, ru: 'Пользователь в запросе не совпадает с владельцем токена.', en: 'The user in the request is not the owner of the token.', fr: "L'utilisateur de la requête n'est pas celui du jeton." },
  CHANNEL_NOT_FOUND: { status: 404, ru: 'Channel {id} not found', en: 'Channel {id} not found', fr: 'Chaîne {id} introuvable' },
  JOB_NOT_FOUND: { status: 404, ru: 'Job {id} not found', en: 'Job {id} not found', fr: 'Tâche {id} introuvable' },
  INVALID_CHANNEL_TYPE: { status: 400, ru: 'Канал не предназначен для Music Clips.', en: 'This channel is not a music clips channel.', fr: "Cette chaîne n'est pas une chaîne de clips musicaux." },
  SUNO_PROMPT_REQUIRED: { status: 400, ru: 'Укажите промпт для Suno в настройках канала.', en: 'Please enter a Suno prompt in the settings of the channel.', fr: 'Veuillez indiquer un prompt Suno dans les réglages de la chaîne.' },
  SUNO_REQUEST_INVALID: { status: 400, ru: 'Настройки канала не подходят для Suno: {detail}', en: 'Suno would not accept the settings of the channel: {detail}', fr: 'Suno refuserait les réglages de la chaîne : {detail}' },
  SUNO_API_KEY_NOT_CONFIGURED: { status: 503, ru: 'Ключ Suno API не настроен. Задайте SUNO_API_KEY.', en: 'Suno API key not configured. Set SUNO_API_KEY.', fr: "La clé de l'API Suno n'est pas configurée. Définissez SUNO_API_KEY." },
  CALLBACK_URL_NOT_CONFIGURED: { status: 400, ru: 'Callback URL not configured. Set PUBLIC_BASE_URL environment variable.', en: 'Callback URL not configured. Set PUBLIC_BASE_URL environment variable.', fr: "L'adresse de rappel n'est pas configurée. Définissez la variable PUBLIC_BASE_URL." },
  CALLBACK_URL_INVALID: { status: 400, ru: 'Callback URL invalid. PUBLIC_BASE_URL must be a public https address.', en: 'Callback URL invalid. PUBLIC_BASE_URL must be a public https address.', fr: "L'adresse de rappel n'est pas valable. PUBLIC_BASE_URL doit être une adresse https publique." },
  SUNO_NO_CREDITS: { status: 402, ru: 'Недостаточно кредитов Suno для генерации. Пополните баланс.', en: 'Not enough Suno credits for a generation. Please top up.', fr: 'Crédits Suno insuffisants pour une génération. Veuillez recharger.' },
  SUNO_API_KEY_REJECTED: { status: 503, ru: 'Suno не принимает ключ API. Проверьте SUNO_API_KEY.', en: 'Suno does not accept the API key. Check SUNO_API_KEY.', fr: "Suno refuse la clé de l'API. Vérifiez SUNO_API_KEY." },
  INSUFFICIENT_TOKENS: { status: 402, ru: 'Недостаточно токенов: нужно {required}, доступно {available}.', en: 'Not enough tokens: {required} needed, {available} available.', fr: 'Jetons insuffisants : {required} nécessaires, {available} disponibles.' },
  QUEUE_FULL: { status: 429, ru: 'Очередь переполнена, задание не успело бы начаться. Повторите через {retryAfterSec} с.', en: 'So much is waiting that it could not start in time. Try again in {retryAfterSec} s.', fr: "La file est pleine, la tâche ne pourrait pas démarrer à temps. Réessayez dans {retryAfterSec} s." },
} as const satisfies Record<string, { status: number } & Record<Language, string>>

export type RefusalCode = keyof typeof REFUSALS

/** Says no to a run; `extra` are the members that the seed's sample has beside the message. */
export class Refusal extends Error {
  readonly code: RefusalCode
  readonly params: Record<string, string | number>
  readonly extra: Record<string, unknown>
  constructor(code: RefusalCode, params: Record<string, string | number> = {}, extra: Record<string, unknown> = {}) {
    super(code)
    this.name = 'Refusal'
    this.code = code
    this.params = params
    this.extra = extra
  }
}

export const refusalText = ({ code, params }: Refusal, language: Language): string =>
  REFUSALS[code][language].replace(/\{(\w+)\}/g, (_, name: string) => String(params[name] ?? ''))

/** Codes that our taxonomy has a word for; the others are told in their own English sentence. */
const TAXONOMY: Partial<Record<RefusalCode, ErrorCode>> = {
  SUNO_NO_CREDITS: 'no_credits',
  SUNO_API_KEY_REJECTED: 'provider_auth',
  SUNO_API_KEY_NOT_CONFIGURED: 'provider_not_configured',
  INSUFFICIENT_TOKENS: 'insufficient_tokens',
  QUEUE_FULL: 'queue_full',
}

/** `error` of the job that a refusal leaves at 90, in the seed's form. */
export function jobErrorOf(refusal: Refusal): string {
  const known = TAXONOMY[refusal.code]
  return `Suno generation failed: ${known ? label('en', known) : refusalText(refusal, 'en')}`
}
