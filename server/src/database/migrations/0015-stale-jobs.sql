-- Whoever looks for jobs that nobody works on reads the open ones only, however many have ended.
create index ai_generations_open on ${COMPAT_SCHEMA}.ai_generations (created_at) where status in ('pending', 'processing');
create index track_archiving_jobs_open on ${COMPAT_SCHEMA}.track_archiving_jobs (coalesce(started_at, created_at)) where status in ('pending', 'processing');
