-- The team's own rows whose songs are still to be made, one entry for each statement that finished or changed one. A
-- queue, because a song must never be waited for by who holds its generation: storing a song locks it the other way round.
create table reprise.foreign_generations (
  seq bigint generated always as identity primary key,
  id uuid not null,
  next_at timestamptz not null default reprise.now()
);
create index foreign_generations_due on reprise.foreign_generations (next_at);
create index foreign_generations_id on reprise.foreign_generations (id);

-- A b-tree refuses long values, and so the team's statement: a hash does not.
drop index ${COMPAT_SCHEMA}.ai_generations_task;
create index ai_generations_task on ${COMPAT_SCHEMA}.ai_generations using hash (task_id) where task_id is not null;
