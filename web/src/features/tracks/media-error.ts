const NAMES = ['MEDIA_ERR_ABORTED', 'MEDIA_ERR_NETWORK', 'MEDIA_ERR_DECODE', 'MEDIA_ERR_SRC_NOT_SUPPORTED'] as const
export type MediaErrorName = (typeof NAMES)[number]

/** The name of a `MediaError.code`, as the standard writes it; what browsers do not number is "not supported". */
export const mediaErrorName = (code: number | undefined): MediaErrorName =>
  NAMES[(code ?? 4) - 1] ?? 'MEDIA_ERR_SRC_NOT_SUPPORTED'
