-- Gives the free slots of an account to the requests whose turn it is, users in turn, and books them. Locks the account's
-- row: dispatchers of several nodes follow one another, so rate, concurrency and breaker hold across nodes. Each
-- statement sees what was committed until it began: whoever held the lock before us has been counted.
-- p_rate null: no rate limit; p_concurrency null: no limit on tasks that run at once, unless the account told one. wanted: the slots that were free.
create or replace function reprise.take_slots(p_account text, p_most int, p_rate int, p_window_ms int, p_concurrency int, out ids uuid[], out wanted int)
language plpgsql set enable_sort = off
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$ -- see 10-records.sql
declare
  v_window interval := p_window_ms * interval '1 millisecond';
  v_account reprise.provider_accounts;
  v_recent timestamptz[];
  v_concurrency int;
begin
  ids := '{}';
  wanted := 0;
  select * into v_account from reprise.provider_accounts where account = p_account for update;
  if not found or v_account.breaker_until > reprise.now() then return; end if;

  wanted := p_most;
  if p_rate is not null then
    v_recent := array(select g from unnest(v_account.grants) g where g > reprise.clock() - v_window order by g);
    wanted := least(wanted, p_rate - cardinality(v_recent));
  end if;
  v_concurrency := coalesce(v_account.concurrency, p_concurrency);
  if v_concurrency is not null then
    -- An attempt whose generation has ended is watched at most: should it never be heard of again, it must not keep its
    -- place. Nor must one whose outcome is awaited no longer: its generation is asked for again, and would wait for itself.
    wanted := least(wanted, v_concurrency - (select count(*) from reprise.attempts t
      join reprise.generations g on g.id = t.generation_id and g.finished_at is null
      where t.account = p_account and t.state in ('intended', 'sent', 'accepted', 'unknown') and (t.state <> 'unknown' or g.indeterminate_until is not null)));
  end if;
  wanted := greatest(wanted, 0);
  if wanted = 0 then return; end if;

  ids := array(select id from reprise.generations
    where account = p_account and dispatch_at <= reprise.now() and deadline_at > reprise.now()
    order by turn, created_at limit wanted for update skip locked);
  if p_rate is not null and cardinality(ids) > 0 then
    update reprise.provider_accounts set grants = v_recent || array_fill(reprise.clock(), array[cardinality(ids)]) where account = p_account;
  end if;
end $$;
