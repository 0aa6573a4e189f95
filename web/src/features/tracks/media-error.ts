export const MEDIA_ERRORS = ['MEDIA_ERR_ABORTED', 'MEDIA_ERR_NETWORK', 'MEDIA_ERR_DECODE', 'MEDIA_ERR_SRC_NOT_SUPPORTED'] as const
export type MediaErrorName = (typeof MEDIA_ERRORS)[number]

/** The name of a `MediaError.code`, as the standard writes it; what browsers do not number is "not supported". */
export const mediaErrorName = (code: number | undefined): MediaErrorName =>
  MEDIA_ERRORS[(code ?? 4) - 1] ?? 'MEDIA_ERR_SRC_NOT_SUPPORTED'
