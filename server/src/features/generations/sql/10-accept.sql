-- Accepts one paid request, or says why not, in one call: idempotency, admission, hold, generation, first event.
-- Outcomes: accepted · replayed (same request again) · key_reused · in_progress · no_price · insufficient · queue_full.
-- p: see reprise.insert_generation (its cost is worked out here), and model, route, key, keySeconds, bodyHash (hex),
-- waitForTwin (bool), startsPerSec; perItem only to pay another price than the table's.
create or replace function reprise.accept_generation(p jsonb)
returns table (outcome text, generation_id uuid, created_at timestamptz, deadline_at timestamptz, cost bigint, provider text, kind text,
  required bigint, available bigint, retry_after_sec int) language plpgsql as $$
declare
  v_user uuid := (p->>'userId')::uuid;
  v_lock bigint := hashtextextended(v_user::text || ' ' || (p->>'route') || ' ' || (p->>'key'), 0);
  v_body bytea := decode(p->>'bodyHash', 'hex');
  v_twin reprise.idempotency;
  v_start double precision;
  v_per_item bigint;
  v_cost bigint;
  g reprise.generations;
begin
  if p->>'key' is not null then
    if (p->>'waitForTwin')::boolean then
      perform pg_advisory_xact_lock(v_lock);
    elsif not pg_try_advisory_xact_lock(v_lock) then
      return query select 'in_progress', null::uuid, null::timestamptz, null::timestamptz, null::bigint, null, null, null::bigint, null::bigint, 1;
      return;
    end if;
    select * into v_twin from reprise.idempotency i where i.user_id = v_user and i.route = p->>'route' and i.key = p->>'key'
      and i.created_at > reprise.now() - (p->>'keySeconds')::int * interval '1 second';
    if found then
      return query
        select case when v_twin.body_hash = v_body then 'replayed' else 'key_reused' end, o.id, o.created_at, o.deadline_at, o.cost, o.provider, o.kind,
          null::bigint, null::bigint, null::int
        from reprise.generations o where o.id = v_twin.generation_id;
      return;
    end if;
  end if;

  if p->>'startsPerSec' is not null then
    v_start := reprise.expected_start_sec(p->>'account', v_user, (p->>'startsPerSec')::double precision,
      ceil((p->>'startsPerSec')::double precision * (p->>'deadlineSec')::int)::int + 1);
    if v_start > (p->>'deadlineSec')::int then
      return query select 'queue_full', null::uuid, null::timestamptz, null::timestamptz, null::bigint, null, null, null::bigint, null::bigint,
        greatest(1, ceil(v_start - (p->>'deadlineSec')::int + 1))::int;
      return;
    end if;
  end if;

  v_per_item := coalesce((p->>'perItem')::bigint, reprise.price_of(p->>'kind', p->>'provider', p->>'model'));
  if v_per_item is null then
    return query select 'no_price', null::uuid, null::timestamptz, null::timestamptz, null::bigint, null, p->>'kind', null::bigint, null::bigint, null::int;
    return;
  end if;
  v_cost := v_per_item * (p->>'resultCount')::int;
  if not reprise.hold_tokens(v_user, (p->>'id')::uuid, v_per_item, (p->>'resultCount')::int) then
    return query select 'insufficient', null::uuid, null::timestamptz, null::timestamptz, null::bigint, null, null,
      v_cost, coalesce((select w.available from reprise.wallets w where w.user_id = v_user), 0), null::int;
    return;
  end if;
  g := reprise.insert_generation(p || jsonb_build_object('cost', v_cost));
  if p->>'key' is not null then
    insert into reprise.idempotency as i (user_id, route, key, body_hash, generation_id, created_at)
      values (v_user, p->>'route', p->>'key', v_body, g.id, g.created_at)
      on conflict (user_id, route, key) do update set body_hash = excluded.body_hash, generation_id = excluded.generation_id, created_at = excluded.created_at;
  end if;
  return query select 'accepted', g.id, g.created_at, g.deadline_at, g.cost, g.provider, g.kind, null::bigint, null::bigint, null::int;
end $$;

-- Many at once, each as if alone, in the order given (by user: two batches never wait for each other in a circle). It
-- never waits long for a wallet that somebody holds: the others would wait with it. The caller then tries each alone.
create or replace function reprise.accept_generations(p jsonb)
returns table (outcome text, generation_id uuid, created_at timestamptz, deadline_at timestamptz, cost bigint, provider text, kind text,
  required bigint, available bigint, retry_after_sec int) language plpgsql set lock_timeout = '250ms' as $$
declare
  one jsonb;
begin
  for one in select value from jsonb_array_elements(p) loop
    return query select * from reprise.accept_generation(one);
  end loop;
end $$;
