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

-- The promises about tokens, as rows that break them; empty when all is well.
create or replace view reprise.ledger_violations as
  select 'wallet differs from its entries' as promise, w.user_id, null::uuid as generation_id
  from reprise.wallets w
  left join (
    select user_id, sum(amount) filter (where account = 'available') as available, sum(amount) filter (where account = 'held') as held
    from reprise.ledger_entries group by user_id
  ) e using (user_id)
  where w.available <> coalesce(e.available, 0) or w.held <> coalesce(e.held, 0)
  union all
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
  join reprise.results r on r.generation_id = g.id and r.role = 'final' and r.index = h.index
  where (h.state = 'captured') is distinct from (coalesce(r.settled, '') = 'kept') or (h.state = 'released') is distinct from (coalesce(r.settled, '') = 'lost');
