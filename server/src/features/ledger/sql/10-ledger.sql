-- Sets tokens aside for generations: one hold each, one item per result. Answers the ids of those that could be paid;
-- nothing is written for the others. The wallets are locked first, by user: requests of one user follow one another.
-- p: [{"id", "userId", "perItem", "resultCount"}], first come, first served.
drop function if exists reprise.hold_tokens(uuid, uuid, bigint, int);
create or replace function reprise.hold_tokens(p jsonb) returns setof uuid language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$ -- see 10-records.sql
begin
  return query
  with asked as materialized (
    select a.*, per_item * items as cost, sum(per_item * items) over (partition by user_id order by place) as so_far
    from rows from (jsonb_to_recordset(p) as (id uuid, "userId" uuid, "perItem" bigint, "resultCount" int)) with ordinality
      as a (generation_id, user_id, per_item, items, place)
  ), locked as materialized (
    select w.user_id, w.available from reprise.wallets w where w.user_id = any (array(select a.user_id from asked a)) order by w.user_id for update
  ), paid as materialized (
    select a.* from asked a left join locked l using (user_id) where a.so_far <= coalesce(l.available, 0)
  ), held as (
    insert into reprise.ledger_transfers (user_id, kind, from_account, to_account, amount, generation_id, reason, actor)
    select a.user_id, 'hold', 'available', 'held', a.cost, a.generation_id, 'generation accepted', 'reprise' from paid a where a.cost > 0
  ), items as (
    insert into reprise.hold_items (generation_id, index, user_id, amount)
    select a.generation_id, i, a.user_id, a.per_item from paid a, generate_series(0, a.items - 1) i
  )
  select a.generation_id from paid a;
end $$;

-- Ends hold items, each exactly once (`guard_item` and `one_settlement` refuse a second time).
-- p: [{"generationId", "index", "end": "captured" | "released", "reason"}]
create or replace function reprise.settle_items(p jsonb) returns void language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$ -- see 10-records.sql
begin
  with ends as (
    select * from jsonb_to_recordset(p) as e ("generationId" uuid, index int, "end" text, reason text) limit jsonb_array_length(p)
  ), moved as (
    update reprise.hold_items h set state = e."end", settled_at = reprise.now()
    from ends e where h.generation_id = e."generationId" and h.index = e.index
    returning h.generation_id, h.index, h.user_id, h.amount, h.state, e.reason
  )
  insert into reprise.ledger_transfers (user_id, kind, from_account, to_account, amount, generation_id, item_index, reason, actor)
  select user_id, case state when 'captured' then 'capture' else 'release' end, 'held', case state when 'captured' then 'revenue' else 'available' end,
    amount, generation_id, index, reason, 'reprise'
  from moved where amount > 0 order by user_id, generation_id, index;
end $$;

create or replace function reprise.open_wallet(p_user uuid) returns void language sql as $$
  insert into reprise.wallets (user_id) values (p_user) on conflict do nothing
$$;

-- What one result costs: the most specific price wins.
create or replace function reprise.price_of(p_kind text, p_provider text, p_model text) returns bigint language sql stable as $$
  select tokens from reprise.prices
  where kind = p_kind and provider in (p_provider, '*') and model in (p_model, '*')
  order by (provider = p_provider) desc, (model = p_model) desc limit 1
$$;

-- Every transfer as the two entries that it is. The sum over all entries is zero.
create or replace view reprise.ledger_entries as
  select id as transfer_id, user_id, from_account as account, -amount as amount, kind, generation_id, item_index, reason, actor, at from reprise.ledger_transfers
  union all
  select id, user_id, to_account, amount, kind, generation_id, item_index, reason, actor, at from reprise.ledger_transfers;

-- An item is written once and settled once; what it is worth and whose it is never changes, and it is never taken away.
create or replace function reprise.guard_hold_item() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    raise exception 'item % of % stays', old.index, old.generation_id using errcode = 'check_violation';
  end if;
  if old.state <> 'open' then
    raise exception 'item % of % is already %', old.index, old.generation_id, old.state using errcode = 'check_violation';
  end if;
  if (new.generation_id, new.index, new.user_id, new.amount) is distinct from (old.generation_id, old.index, old.user_id, old.amount) then
    raise exception 'item % of % can only be settled', old.index, old.generation_id using errcode = 'check_violation';
  end if;
  return new;
end $$;
create or replace trigger guard_item before update or delete on reprise.hold_items for each row execute function reprise.guard_hold_item();

-- The promises about tokens, as rows that break them; empty when all is well. Reads each table as a whole, some of them
-- several times: the daily look gives itself the time (checkLedger).
create or replace view reprise.ledger_violations as
  select 'wallet differs from its entries' as promise, w.user_id, null::uuid as generation_id
  from reprise.wallets w
  left join (
    select user_id, sum(amount) filter (where account = 'available') as available, sum(amount) filter (where account = 'held') as held
    from reprise.ledger_entries group by user_id
  ) e using (user_id)
  where w.available <> coalesce(e.available, 0) or w.held <> coalesce(e.held, 0)
  union all
  -- also finds a hold or a settlement that is in another user's books than its item
  select 'held tokens differ from open items', w.user_id, null
  from reprise.wallets w
  left join (select user_id, sum(amount) as open from reprise.hold_items where state = 'open' group by user_id) h using (user_id)
  where w.held <> coalesce(h.open, 0)
  union all
  select 'final generation with open items', g.user_id, g.id
  from reprise.generations g join reprise.hold_items h on h.generation_id = g.id and h.state = 'open'
  where g.state in ('complete', 'failed', 'timed_out') or (g.state = 'cancelled' and g.deadline_at < reprise.now() - interval '1 minute')
  union all
  select 'item and result disagree', g.user_id, g.id
  from reprise.generations g
  join reprise.hold_items h on h.generation_id = g.id
  left join reprise.results r on r.generation_id = g.id and r.role = 'final' and r.index = h.index
  where (h.state = 'captured') is distinct from (coalesce(r.settled, '') = 'kept') or (h.state = 'released') is distinct from (coalesce(r.settled, '') = 'lost')
  union all
  select 'cost differs from its items', g.user_id, g.id
  from reprise.generations g
  left join (select generation_id, user_id, sum(amount) as amount from reprise.hold_items group by generation_id, user_id) h
    on h.generation_id = g.id and h.user_id = g.user_id
  where g.cost <> coalesce(h.amount, 0)
  union all
  select 'hold differs from its items', coalesce(t.user_id, h.user_id), generation_id
  from (select generation_id, user_id, sum(amount) as amount from reprise.hold_items where amount > 0 group by generation_id, user_id) h
  full join (select generation_id, user_id, amount from reprise.ledger_transfers where kind = 'hold') t using (generation_id)
  where h.amount is distinct from t.amount
  union all
  -- no tokens, no transfer
  select 'item and settlement disagree', coalesce(h.user_id, t.user_id), coalesce(h.generation_id, t.generation_id)
  from (select * from reprise.hold_items where amount > 0) h
  full join (select generation_id, item_index, user_id, kind, amount from reprise.ledger_transfers where kind in ('capture', 'release')) t
    on t.generation_id = h.generation_id and t.item_index = h.index
  where t.kind is distinct from case h.state when 'captured' then 'capture' when 'released' then 'release' end or t.amount <> h.amount;
