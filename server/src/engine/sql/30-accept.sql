-- The turn of a user's last waiting request, null without one. Asked as a range and in this order, so that only the
-- index on account, user and turn can answer it: through the one without the user, other users' whole queues are read.
create or replace function reprise.own_last_turn(p_account text, p_user uuid) returns bigint language sql stable as $$
  select turn from reprise.generations
  where account = p_account and user_id >= p_user and user_id <= p_user and dispatch_at is not null
  order by account, user_id desc, turn desc limit 1
$$;

-- The engine's part of accepting: the generation, its expected results and the first event. `p` holds id, userId, provider,
-- account, kind, origin, urgency, request, cost, resultCount, deadlineSec, watchSec, regeneratedFrom.
create or replace function reprise.insert_generation(p jsonb) returns reprise.generations language plpgsql as $$
declare
  g reprise.generations;
  at timestamptz := date_trunc('milliseconds', reprise.now());
begin
  g.id := (p->>'id')::uuid;
  g.user_id := (p->>'userId')::uuid;
  g.provider := p->>'provider';
  g.account := p->>'account';
  g.created_at := at;
  g.deadline_at := at + (p->>'deadlineSec')::int * interval '1 second';
  -- users in turn: behind the user's own last waiting request, otherwise level with the head of the queue
  g.turn := coalesce(
    reprise.own_last_turn(g.account, g.user_id) + 1,
    (select min(turn) from reprise.generations where account = g.account and dispatch_at is not null), 0);
  insert into reprise.generations (id, user_id, provider, account, kind, origin, urgency, request, cost, result_count, regenerated_from,
    created_at, deadline_at, watch_until, changed_at, dispatch_at, turn, next_at)
  values (g.id, g.user_id, g.provider, g.account, p->>'kind', p->>'origin', p->>'urgency', p->'request', (p->>'cost')::bigint,
    (p->>'resultCount')::int, (p->>'regeneratedFrom')::uuid, at, g.deadline_at, at + (p->>'watchSec')::int * interval '1 second', at, at, g.turn, g.deadline_at)
  returning * into g;
  insert into reprise.results (id, generation_id, role, index)
    select gen_random_uuid(), g.id, 'final', i from generate_series(0, g.result_count - 1) i;
  insert into reprise.events (generation_id, user_id, at, type, state, cause, data)
    values (g.id, g.user_id, at, 'accepted_request', 'queued', 'request', jsonb_build_object('cost', g.cost, 'regeneratedFrom', g.regenerated_from));
  return g;
end $$;

-- Seconds until a request accepted now would get its slot, by the account's rate and the work before it.
create or replace function reprise.expected_start_sec(p_account text, p_user uuid, p_starts_per_sec double precision, p_most int)
returns double precision language sql stable as $$
  select count(*) / p_starts_per_sec from (
    select 1 from reprise.generations
    where account = p_account and dispatch_at is not null
      and turn <= coalesce(reprise.own_last_turn(p_account, p_user) + 1,
                           (select min(turn) from reprise.generations where account = p_account and dispatch_at is not null), 0)
    limit p_most
  ) before
$$;
