-- Accepts paid requests of one user that stand or fall together (one, or the cards of a job), or says why not, in one
-- call: idempotency, admission, hold, generation, first event. Nothing is written unless all of them are accepted.
-- Outcomes: accepted (a row for each, in their order) · replayed (same request again; the first one's row) · key_reused ·
-- in_progress · no_price · insufficient · queue_full.
-- p: [of what reprise.insert_generations takes (the cost is worked out here), and model, priceKind (the price asked for
-- instead of the kind's), perItem (only to pay another price than the table's)]; the first names for all of them route,
-- key, keySeconds, bodyHash (hex), waitForTwin (bool) and startsPerSec, and alone carries the key.
create or replace function reprise.accept_together(p jsonb)
returns table (outcome text, generation_id uuid, created_at timestamptz, deadline_at timestamptz, cost bigint, provider text, kind text,
  required bigint, available bigint, retry_after_sec int) language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
  v_first jsonb := p -> 0;
  v_last jsonb := p -> -1;
  v_user uuid := (v_first->>'userId')::uuid;
  v_lock bigint := reprise.key_lock(v_first);
  v_body bytea := decode(v_first->>'bodyHash', 'hex');
  v_rate double precision := (v_first->>'startsPerSec')::double precision;
  v_patience int := (v_last->>'deadlineSec')::int;
  v_twin reprise.idempotency;
  v_start double precision;
  v_priced jsonb;
  v_cost bigint;
  v_available bigint;
begin
  if v_first->>'key' is not null then
    if (v_first->>'waitForTwin')::boolean then
      perform pg_advisory_xact_lock(v_lock);
    elsif not pg_try_advisory_xact_lock(v_lock) then
      return query select 'in_progress', null::uuid, null::timestamptz, null::timestamptz, null::bigint, null, null, null::bigint, null::bigint, 1;
      return;
    end if;
    select * into v_twin from reprise.idempotency i where i.user_id = v_user and i.route = v_first->>'route' and i.key = v_first->>'key'
      and i.created_at > reprise.now() - (v_first->>'keySeconds')::int * interval '1 second';
    if found then
      return query
        select case when v_twin.body_hash = v_body then 'replayed' else 'key_reused' end, o.id, o.created_at, o.deadline_at, o.cost, o.provider, o.kind,
          null::bigint, null::bigint, null::int
        from reprise.generations o where o.id = v_twin.generation_id;
      return;
    end if;
  end if;

  if v_rate is not null then
    v_start := reprise.expected_start_sec(v_first->>'account', v_user, v_rate, ceil(v_rate * v_patience)::int + 1) + (jsonb_array_length(p) - 1) / v_rate;
    if v_start > v_patience then
      return query select 'queue_full', null::uuid, null::timestamptz, null::timestamptz, null::bigint, null, null, null::bigint, null::bigint,
        greatest(1, ceil(v_start - v_patience + 1))::int;
      return;
    end if;
  end if;

  select jsonb_agg(a.one || jsonb_build_object('perItem', a.per_item, 'cost', a.per_item * (a.one->>'resultCount')::int) order by a.place),
    sum(a.per_item * (a.one->>'resultCount')::int) filter (where a.per_item is not null) into v_priced, v_cost
  from (
    select e.value as one, e.ordinality as place,
      coalesce((e.value->>'perItem')::bigint, reprise.price_of(coalesce(e.value->>'priceKind', e.value->>'kind'), e.value->>'provider', e.value->>'model')) as per_item
    from jsonb_array_elements(p) with ordinality e offset 0 -- one look at the price for each
  ) a;
  if v_priced @> '[{"perItem": null}]' then
    return query select 'no_price', null::uuid, null::timestamptz, null::timestamptz, null::bigint, null,
      (select coalesce(e->>'priceKind', e->>'kind') from jsonb_array_elements(v_priced) e where e->>'perItem' is null limit 1), null::bigint, null::bigint, null::int;
    return;
  end if;
  if jsonb_array_length(p) > 1 then
    -- Held until the end of the transaction: what is enough for all of them now is enough for each of them below.
    select w.available into v_available from reprise.wallets w where w.user_id = v_user for update;
  end if;
  if jsonb_array_length(p) = 1 or coalesce(v_available, 0) >= v_cost then
    return query
      select 'accepted', n.id, n.created_at, n.deadline_at, n.cost, n.provider, n.kind, null::bigint, null::bigint, null::int
      from reprise.write_accepted(v_priced) n
      join (select (e.value->>'id')::uuid as id, e.ordinality as place from jsonb_array_elements(p) with ordinality e) o on o.id = n.id order by o.place;
    if found then return; end if;
  end if;
  return query select 'insufficient', null::uuid, null::timestamptz, null::timestamptz, null::bigint, null, null,
    v_cost, coalesce((select w.available from reprise.wallets w where w.user_id = v_user), 0), null::int;
end $$;

create or replace function reprise.accept_generation(p jsonb)
returns table (outcome text, generation_id uuid, created_at timestamptz, deadline_at timestamptz, cost bigint, provider text, kind text,
  required bigint, available bigint, retry_after_sec int) language sql as $$
  select * from reprise.accept_together(jsonb_build_array(p))
$$;

-- Many in one go, for what arrives together: answers those that it accepted. Whatever is not plain (a key that is in
-- use or was used, a queue that may be full, too few tokens, no price) it leaves alone: ask for each by itself then.
-- Two batches never wait for each other in a circle (wallets are locked by user), and none waits long for a wallet
-- that somebody holds: the others would wait with it.
drop function if exists reprise.accept_generations(jsonb);
create or replace function reprise.accept_generations(p jsonb)
returns table (outcome text, generation_id uuid, created_at timestamptz, deadline_at timestamptz, cost bigint, provider text, kind text)
language plpgsql set lock_timeout = '250ms' set plan_cache_mode = force_generic_plan as $$
declare
  v_plain jsonb;
begin
  -- Locks in a statement of their own: what is looked up next must see what the last holder of a key has written.
  select jsonb_agg(a.one order by a.place) into v_plain from (
    select e.value as one, e.ordinality as place, row_number() over (partition by e.value->>'userId', e.value->>'route', e.value->>'key') as nth
    from jsonb_array_elements(p) with ordinality e
  ) a
  where a.one->>'startsPerSec' is null and (a.one->>'key' is null or (a.nth = 1 and pg_try_advisory_xact_lock(reprise.key_lock(a.one))));

  select jsonb_agg(a.one || jsonb_build_object('perItem', a.per_item, 'cost', a.per_item * (a.one->>'resultCount')::int) order by a.place) into v_plain from (
    select e.value as one, e.ordinality as place,
      coalesce((e.value->>'perItem')::bigint, reprise.price_of(coalesce(e.value->>'priceKind', e.value->>'kind'), e.value->>'provider', e.value->>'model')) as per_item
    from jsonb_array_elements(v_plain) with ordinality e offset 0 -- one look at the price for each
  ) a
  -- `limit 1` makes it a look into the index for each; joined, a plan made while the table was small would read all of it.
  where a.per_item is not null and (
    select i.generation_id from reprise.idempotency i where i.user_id = (a.one->>'userId')::uuid and i.route = a.one->>'route' and i.key = a.one->>'key'
      and i.created_at > reprise.now() - (a.one->>'keySeconds')::int * interval '1 second' limit 1) is null;

  if v_plain is not null then
    return query select 'accepted', n.id, n.created_at, n.deadline_at, n.cost, n.provider, n.kind from reprise.write_accepted(v_plain) n;
  end if;
end $$;

-- Hold, generation, first event and key of all that can be paid. p: as above, with perItem and cost.
create or replace function reprise.write_accepted(p jsonb)
returns table (id uuid, created_at timestamptz, deadline_at timestamptz, cost bigint, provider text, kind text) language plpgsql
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_paid uuid[] := array(select reprise.hold_tokens(p));
begin
  return query
  with made as materialized (
    select n.* from reprise.insert_generations(
      (select coalesce(jsonb_agg(e.value order by e.ordinality), '[]') from jsonb_array_elements(p) with ordinality e where (e.value->>'id')::uuid = any (v_paid))) n
  ), keys as (
    insert into reprise.idempotency as i (user_id, route, key, body_hash, generation_id, created_at)
    select a."userId", a.route, a.key, decode(a."bodyHash", 'hex'), a.id, m.created_at
    from jsonb_to_recordset(p) as a ("userId" uuid, route text, key text, "bodyHash" text, id uuid) join made m on m.id = a.id where a.key is not null
    on conflict (user_id, route, key) do update set body_hash = excluded.body_hash, generation_id = excluded.generation_id, created_at = excluded.created_at
  )
  select m.* from made m;
end $$;

-- One request at a time under one key of one user and route.
create or replace function reprise.key_lock(p jsonb) returns bigint language sql immutable as $$
  select hashtextextended((p->>'userId') || ' ' || (p->>'route') || ' ' || (p->>'key'), 0)
$$;
