-- A worker takes due generations: whoever holds the lease is alone with the row until it lapses. A lease that is let
-- lapse makes the row due again by itself; the fence tells the old owner's writes from the new one's.
create or replace function reprise.claim_generations(p_owner text, p_limit int, p_lease_ms int)
returns table (id uuid, fence bigint) language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query
  -- materialized: no plan may look for due rows more than once, which would claim more than asked for
  with due as materialized (
    select d.id from reprise.generations d
    where d.next_at <= reprise.now() and (d.lease_until is null or d.lease_until <= reprise.now())
    order by d.next_at limit p_limit for update skip locked
  )
  update reprise.generations g set lease_owner = p_owner, lease_until = reprise.now() + p_lease_ms * interval '1 millisecond', fence = g.fence + 1
  from due
  where g.id = due.id
  returning g.id, g.fence;
end $$;

create or replace function reprise.claim_results(p_owner text, p_limit int, p_lease_ms int)
returns table (id uuid, fence bigint, generation_id uuid, role text, index int, source_url text, staged_key text,
  provider_duration_ms int, tries int, user_id uuid, kind text, final_id uuid) language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query
  with due as materialized (
    select d.id from reprise.results d
    where d.next_at <= reprise.now() and (d.lease_until is null or d.lease_until <= reprise.now())
    -- files that gate completion come before covers
    order by d.next_at, d.role desc limit p_limit for update skip locked
  )
  update reprise.results r set lease_owner = p_owner, lease_until = reprise.now() + p_lease_ms * interval '1 millisecond', fence = r.fence + 1
  from due, reprise.generations g
  where r.id = due.id and g.id = r.generation_id
  returning r.id, r.fence, r.generation_id, r.role, r.index, r.source_url, r.staged_key, r.provider_duration_ms, r.tries, g.user_id, g.kind,
    (select f.id from reprise.results f where f.generation_id = r.generation_id and f.role = 'final' and f.index = r.index);
end $$;

-- Renews the leases that one node holds, in one statement per table; answers those that are still its own.
create or replace function reprise.renew_leases(p_generations uuid[], p_generation_fences bigint[], p_results uuid[], p_result_fences bigint[], p_lease_ms int)
returns table (id uuid) language sql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
  -- A locked row is being written by whoever works on it: skipped until the next renewal. Waiting for it with the other
  -- rows in hand would make all of them wait.
  with mine as materialized (
    select g.id from unnest(p_generations, p_generation_fences) as h (id, fence)
    join reprise.generations g on g.id = h.id and g.fence = h.fence and g.lease_until is not null for no key update of g skip locked
  ), generations as (
    update reprise.generations g set lease_until = reprise.now() + p_lease_ms * interval '1 millisecond' from mine where g.id = mine.id returning g.id
  ), my_results as materialized (
    select r.id from unnest(p_results, p_result_fences) as h (id, fence)
    join reprise.results r on r.id = h.id and r.fence = h.fence and r.lease_until is not null for no key update of r skip locked
  ), results as (
    update reprise.results r set lease_until = reprise.now() + p_lease_ms * interval '1 millisecond' from my_results m where r.id = m.id returning r.id
  )
  select id from generations union all select id from results
$$;

-- A node that shuts down gives back what it has not begun; a POST in flight keeps its lease and is waited for.
create or replace function reprise.release_leases(p_generations uuid[], p_generation_fences bigint[], p_results uuid[], p_result_fences bigint[])
returns void language sql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
  update reprise.generations g set lease_until = null from unnest(p_generations, p_generation_fences) as h (id, fence) where g.id = h.id and g.fence = h.fence;
  update reprise.results r set lease_until = null from unnest(p_results, p_result_fences) as h (id, fence) where r.id = h.id and r.fence = h.fence;
$$;
