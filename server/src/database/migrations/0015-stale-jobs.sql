-- Whoever looks for jobs that nobody works on reads the open ones only, however many have ended.
create index ai_generations_open on ${COMPAT_SCHEMA}.ai_generations (created_at) where status in ('pending', 'processing');
create index track_archiving_jobs_open on ${COMPAT_SCHEMA}.track_archiving_jobs (coalesce(started_at, created_at)) where status in ('pending', 'processing');

-- What has ended leaves its place in these small indexes only when the table is vacuumed; by default a table of ten
-- million rows waits for two million dead ones, and whoever looks for what is due reads past them each time.
alter table ${COMPAT_SCHEMA}.generation_jobs set (autovacuum_vacuum_scale_factor = 0.01);
alter table ${COMPAT_SCHEMA}.generation_tasks set (autovacuum_vacuum_scale_factor = 0.01);
alter table ${COMPAT_SCHEMA}.ai_generations set (autovacuum_vacuum_scale_factor = 0.01);
alter table ${COMPAT_SCHEMA}.track_archiving_jobs set (autovacuum_vacuum_scale_factor = 0.01);
alter table reprise.generations set (autovacuum_vacuum_scale_factor = 0.01);
alter table reprise.results set (autovacuum_vacuum_scale_factor = 0.01);
alter table reprise.archivals set (autovacuum_vacuum_scale_factor = 0.01);
