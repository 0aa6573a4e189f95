-- The engine's part of accepting: the generations, their expected results and first events. p: [{"id", "userId",
-- "provider", "account", "kind", "origin", "urgency", "request", "cost", "resultCount", "deadlineSec", "watchSec",
-- "regeneratedFrom"}], in the order in which they came.
-- A user's last turn is asked as a range, in this order and without sorting, so that only the index on account, user and
-- turn can answer it: by the one without the user, a plan made for a short queue would read all of a long one.
drop function if exists reprise.insert_generation(jsonb);
drop function if exists reprise.own_last_turn(text, uuid);
create or replace function reprise.insert_generations(p jsonb)
returns table (id uuid, created_at timestamptz, deadline_at timestamptz, cost bigint, provider text, kind text) language plpgsql
set enable_sort = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_at timestamptz := date_trunc('milliseconds', reprise.now());
begin
  return query
  with asked as (
    select a.*, row_number() over (partition by account, user_id order by place) as nth
    from rows from (jsonb_to_recordset(p) as (id uuid, "userId" uuid, provider text, account text, kind text, origin text, urgency text,
      request jsonb, cost bigint, "resultCount" int, "deadlineSec" int, "watchSec" int, "regeneratedFrom" uuid)) with ordinality
      as a (id, user_id, provider, account, kind, origin, urgency, request, cost, result_count, deadline_sec, watch_sec, regenerated_from, place)
  ), made as (
    insert into reprise.generations (id, user_id, provider, account, kind, origin, urgency, request, cost, result_count, regenerated_from,
      created_at, deadline_at, watch_until, changed_at, dispatch_at, turn, next_at)
    select a.id, a.user_id, a.provider, a.account, a.kind, a.origin, a.urgency, a.request, a.cost, a.result_count, a.regenerated_from,
      v_at, v_at + a.deadline_sec * interval '1 second', v_at + a.watch_sec * interval '1 second', v_at, v_at,
      -- users in turn: behind the user's own last waiting request, otherwise level with the head of the queue
      a.nth + coalesce(
        (select q.turn from reprise.generations q where q.account = a.account and q.user_id >= a.user_id and q.user_id <= a.user_id and q.dispatch_at is not null
          order by q.user_id desc, q.turn desc limit 1),
        (select min(q.turn) - 1 from reprise.generations q where q.account = a.account and q.dispatch_at is not null), -1),
      v_at + a.deadline_sec * interval '1 second'
    from asked a order by a.place
    returning id, user_id, created_at, deadline_at, cost, provider, kind, result_count, regenerated_from
  ), expected as (
    insert into reprise.results (id, generation_id, role, index)
    select gen_random_uuid(), m.id, 'final', i from made m, generate_series(0, m.result_count - 1) i
  ), told as (
    insert into reprise.events (generation_id, user_id, at, type, state, cause, data)
    select m.id, m.user_id, v_at, 'accepted_request', 'queued', 'request', jsonb_build_object('cost', m.cost, 'regeneratedFrom', m.regenerated_from) from made m
  )
  select m.id, m.created_at, m.deadline_at, m.cost, m.provider, m.kind from made m;
end $$;

-- Seconds until a request accepted now would get its slot, by the account's rate and the work before it.
create or replace function reprise.expected_start_sec(p_account text, p_user uuid, p_starts_per_sec double precision, p_most int)
returns double precision language sql stable set enable_sort = off as $$
  select count(*) / p_starts_per_sec from (
    select 1 from reprise.generations
    where account = p_account and dispatch_at is not null
      and turn <= coalesce((select q.turn from reprise.generations q where q.account = p_account and q.user_id >= p_user and q.user_id <= p_user and q.dispatch_at is not null
          order by q.user_id desc, q.turn desc limit 1) + 1,
                           (select min(turn) from reprise.generations where account = p_account and dispatch_at is not null), 0)
    limit p_most
  ) before
$$;
