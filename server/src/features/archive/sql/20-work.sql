-- Takes tracks to archive: half of the room for due retries, the rest for untried ones by urgency, then what is left
-- over for either. Of the untried, those that have expired come last. See engine/sql/20-claims.sql for the settings.
create or replace function reprise.claim_archivals(p_owner text, p_limit int, p_lease_ms int)
returns table (track_id uuid, fence bigint) language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  taken uuid[];
  more uuid[];
begin
  select coalesce(array_agg(d.track_id), '{}') into taken from (
    select track_id from reprise.archivals where next_at > '-infinity' and next_at <= reprise.now() and (lease_until is null or lease_until <= reprise.now())
    order by next_at limit (p_limit + 1) / 2 for update skip locked) d;
  select coalesce(array_agg(d.track_id), '{}') into more from (
    select track_id from reprise.archivals where next_at = '-infinity' and expires_at > reprise.now() and (lease_until is null or lease_until <= reprise.now())
    order by expires_at, track_id limit p_limit - cardinality(taken) for update skip locked) d;
  taken := taken || more;
  if cardinality(taken) < p_limit then
    select coalesce(array_agg(d.track_id), '{}') into more from (
      select track_id from reprise.archivals where next_at > '-infinity' and next_at <= reprise.now() and (lease_until is null or lease_until <= reprise.now())
        and track_id <> all (taken)
      order by next_at limit p_limit - cardinality(taken) for update skip locked) d;
    taken := taken || more;
  end if;
  if cardinality(taken) < p_limit then
    select coalesce(array_agg(d.track_id), '{}') into more from (
      select track_id from reprise.archivals where next_at = '-infinity' and expires_at <= reprise.now() and (lease_until is null or lease_until <= reprise.now())
      order by expires_at desc, track_id desc limit p_limit - cardinality(taken) for update skip locked) d;
    taken := taken || more;
  end if;
  return query
  update reprise.archivals a set lease_owner = p_owner, fence = a.fence + 1, lease_until = reprise.now() + p_lease_ms * interval '1 millisecond',
    next_at = reprise.now()  -- a worker that dies leaves a row that is due
  where a.track_id = any (taken)
  returning a.track_id, a.fence;
end $$;

create or replace function reprise.renew_archivals(p_tracks uuid[], p_fences bigint[], p_lease_ms int) returns void language sql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  with mine as materialized (
    select a.track_id from unnest(p_tracks, p_fences) as h (id, fence) join reprise.archivals a on a.track_id = h.id and a.fence = h.fence and a.lease_until is not null
    for no key update of a skip locked)
  update reprise.archivals a set lease_until = reprise.now() + p_lease_ms * interval '1 millisecond' from mine where a.track_id = mine.track_id
$$;
