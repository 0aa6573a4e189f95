-- How each scheduled job ended last. Kept here, because the job queue forgets.
create table reprise.schedule_runs (
  name text primary key,
  last_success timestamptz,
  last_failure timestamptz,
  last_error text
);
-- The provider accounts that a node sends work to: waiting work of an account that no live node names is adopted.
alter table reprise.nodes add column accounts text[] not null default '{}';
