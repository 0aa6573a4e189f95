import type { Texts } from './shape.ts'

export const en = {
  errors: {
    validation_failed: 'Some fields are not right. Nothing was charged. Please correct them and send the request again.',
    malformed_body: 'The request body is not valid JSON. Nothing was charged. Please check it and send it again.',
    unauthorized: 'Please sign in: this needs a valid access token or session.',
    forbidden: 'You are signed in, but you are not allowed to do this.',
    user_mismatch: 'The user named in the request is not the user of your access token. Nothing was done.',
    not_found: 'There is nothing here, or it belongs to somebody else.',
    method_not_allowed: 'This address exists but does not know this method.[ It accepts: {allow}.]',
    conflict: 'This does not fit the present state. Nothing was changed. Please reload and look again.',
    request_in_progress:
      'The same request is still being answered. Nothing was charged twice. Please ask again in a moment.',
    gone: 'This is no longer available: it was used already, or it has expired.',
    precondition_failed: 'Somebody changed this since you read it. Nothing was changed now. Please reload first.',
    payload_too_large: 'The request is too large.[ At most {maxBytes} bytes are accepted here.] Nothing was charged.',
    unsupported_media_type: 'This content type is not accepted here. Please send application/json.',
    range_not_satisfiable: 'The file is shorter than the range that was asked for.',
    idempotency_key_reused:
      'This Idempotency-Key was already used for another request. Nothing was charged. Please use a new key.',
    too_many_requests: 'Too many requests at once. Nothing was charged. Please wait[ {retryAfterSec} s] and try again.',
    internal:
      'Something went wrong on our side. Please try again; if it stays, give the operator this number[: {requestId}].',
    service_unavailable: 'We cannot answer right now. Nothing was charged. Please try again[ in {retryAfterSec} s].',
    insufficient_tokens:
      'You do not have enough tokens[: {required} needed, {available} available]. Nothing was charged. ' +
      'Please top up and try again.',
    queue_full:
      'So much is waiting that yours could not start in time, so we did not take it. Nothing was charged. ' +
      'Please try again[ in {retryAfterSec} s].',
    provider_not_configured:
      'This provider is not set up here yet. Nothing was charged. Please ask the operator or choose another one.',
    transient: 'The provider had a passing fault. Your tokens were given back. Please try again.',
    rate_limited: 'The provider is asked too often just now. Your tokens were given back. Please try again later.',
    unavailable: 'The provider is overloaded or under maintenance. Your tokens were given back. Please try again later.',
    no_credits:
      'The credits of this service at the provider are used up. Your tokens were given back. ' +
      'The operator has to top up; please try again later.',
    content_policy:
      "The provider refused this text or picture because of its content rules. Your tokens were given back. " +
      'Please change the wording and try again.',
    invalid_request:
      'The provider did not accept these settings. Your tokens were given back. Please change them and try again.',
    provider_auth:
      'The provider does not accept our access key. Your tokens were given back. The operator has to correct it.',
    provider_task_gone:
      'The provider no longer knows this task. Your tokens were given back. Please start it again.',
    provider_failed: 'The provider tried and failed. Your tokens were given back. Please try again.',
    provider_malformed:
      'The provider answered in a way that we do not understand. Your tokens were given back. Please try again.',
    empty_result: 'The provider reported success but gave no file. Your tokens were given back. Please try again.',
    no_image:
      'The model answered with words instead of a picture, also when asked again. Your tokens were given back. ' +
      'Please describe the picture in other words and try again.',
    submit_unknown:
      'We could not find out whether the provider took the request, and we do not ask twice so that nothing is paid ' +
      'twice. Your tokens were given back. Should the result still arrive, it is yours for free.',
    download_failed:
      'The result could not be fetched from the provider. Your tokens for it were given back. ' +
      'You can fetch it again for free.',
    bad_file:
      'The provider delivered a broken file. Your tokens for it were given back. You can fetch it again for free.',
    unsafe_url: 'The provider named an address that we do not open for safety. Your tokens for it were given back.',
    file_too_large: 'The result is larger than we store. Your tokens for it were given back.',
    storage_failed:
      'We could not store the file, and that is our fault. Your tokens for it were given back. ' +
      'You can fetch it again for free.',
    deadline_exceeded:
      'It took longer than the longest time that we wait. Your tokens were given back. ' +
      'Should the result still arrive, it is yours for free. You can try again.',
    cancelled: 'This was cancelled. The tokens for everything that did not arrive are given back.',
  },
  labels: {
    validation_failed: 'Invalid fields',
    malformed_body: 'Malformed body',
    unauthorized: 'Sign-in required',
    forbidden: 'Not allowed',
    user_mismatch: 'User mismatch',
    not_found: 'Not found',
    method_not_allowed: 'Method not allowed',
    conflict: 'Conflict',
    request_in_progress: 'Request in progress',
    gone: 'No longer available',
    precondition_failed: 'Changed meanwhile',
    payload_too_large: 'Request too large',
    unsupported_media_type: 'Unsupported content type',
    range_not_satisfiable: 'Range not satisfiable',
    idempotency_key_reused: 'Idempotency key reused',
    too_many_requests: 'Too many requests',
    internal: 'Internal error',
    service_unavailable: 'Temporarily unavailable',
    insufficient_tokens: 'Not enough tokens',
    queue_full: 'Queue full',
    provider_not_configured: 'Provider not configured',
    transient: 'Temporary provider error',
    rate_limited: 'Rate limited',
    unavailable: 'Provider unavailable',
    no_credits: 'Insufficient credits',
    content_policy: 'Content policy violation',
    invalid_request: 'Invalid request',
    provider_auth: 'Provider authentication failed',
    provider_task_gone: 'Task no longer exists',
    provider_failed: 'Generation failed at the provider',
    provider_malformed: 'Unexpected provider response',
    empty_result: 'No result returned',
    no_image: 'No picture in the answer',
    submit_unknown: 'Submission outcome unknown',
    download_failed: 'Download failed',
    bad_file: 'Invalid file',
    unsafe_url: 'Unsafe file address',
    file_too_large: 'File too large',
    storage_failed: 'Could not be stored',
    deadline_exceeded: 'Deadline exceeded',
    cancelled: 'Cancelled',
  },
  progress: {
    queued: 'Accepted, waiting for its turn…',
    submitting: 'Sending the request to the provider…',
    generating: 'The provider is working on it…',
    previewing: 'The first part can be heard, the rest is on its way…',
    saving: 'Finished, saving your files…',
    complete: 'Done: your files are saved.',
    complete_with_missing: 'Done, but {missing} could not be saved; the tokens for that were given back.',
    failed: 'This did not work out; your tokens were given back.',
    timed_out: 'This took too long; your tokens were given back.',
    cancelled: 'Cancelled.',
    indeterminate: 'The provider did not answer clearly; we are finding out whether it is working on it…',
    blocked: 'Waiting: {reason}. We go on by ourselves as soon as we can.',
  },
  fields: {
    required: 'This is required.',
    type: 'This must be of another type: {expected}.',
    too_small: 'This is too short or too small: at least {minimum}.',
    too_big: 'This is too long or too large: at most {maximum}.',
    format: 'This does not have the right form: {format}.',
    choice: 'This must be one of: {choices}.',
    unknown_key: 'This field is not known here.',
    cursor: 'This cursor was not made here. Please start from the first page.',
    characters: 'This holds characters that cannot be kept (NUL, or half of a surrogate pair).',
    photo_needed: 'At least one photo of the product is needed.',
    too_many_photos: 'At most {maximum} photos of the product.',
    too_many_references: 'At most one reference.',
    no_such_upload: 'There is no such upload.',
    no_such_picture: 'There is no such picture.',
    no_such_job: 'There is no such job.',
    unsafe_address: 'This address may not be fetched: only public https addresses.',
    picture_too_large: 'The picture is larger than {maximum} MB.',
    not_fetched: 'The picture could not be fetched from this address.',
    too_many_pixels:
      'The picture has too many pixels: 50 million at most, and about half of that when it is progressive, interlaced or WebP.',
    not_a_picture: 'Not a picture: JPEG, PNG or WebP.',
    damaged_picture: 'The picture is damaged or empty.',
    too_many_uploads:
      'Too many of your pictures wait for a job that uses them. Those that none uses are deleted after a week.',
    invalid: 'This is not valid.',
  },
} as const satisfies Texts
