-- Takes the next file to read for `p_owner`: one whose repair is to be tried again, else the one that was not read for
-- the longest time, if that was before `p_before`. Null when nothing is due. See engine/sql/20-claims.sql for the settings.
-- A file that somebody had and could not look at leaves a lapsed claim behind and waits until all others had their turn
-- (or its claim is forgotten, after a day): however many there are of them, they are in nobody's way.
create or replace function reprise.claim_fixity(p_owner text, p_before timestamptz, p_lease_ms int) returns text language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare
  candidate text;
begin
  for candidate in
    (select f.blob_key from reprise.fixity_findings f where f.ended_at is null and f.next_at <= reprise.now()
       and not exists (select from reprise.fixity_claims c where c.blob_key = f.blob_key) order by f.next_at limit 100)
    union all
    (select f.blob_key from reprise.files f where coalesce(f.checked_at, f.created_at) <= p_before
       and not exists (select from reprise.fixity_claims c where c.blob_key = f.blob_key) order by coalesce(f.checked_at, f.created_at) limit 100)
    union all
    (select c.blob_key from reprise.fixity_claims c where c.lease_until <= reprise.now() order by c.lease_until limit 100)
  loop
    insert into reprise.fixity_claims as c (blob_key, owner, lease_until) values (candidate, p_owner, reprise.now() + p_lease_ms * interval '1 millisecond')
    on conflict (blob_key) do update set owner = excluded.owner, lease_until = excluded.lease_until where c.lease_until <= reprise.now();
    continue when not found;
    -- Somebody may have been done with it since we looked.
    if exists (select from reprise.fixity_findings f where f.blob_key = candidate and f.ended_at is null and f.next_at <= reprise.now())
      or exists (select from reprise.files f where f.blob_key = candidate and coalesce(f.checked_at, f.created_at) <= p_before) then
      return candidate;
    end if;
    delete from reprise.fixity_claims where blob_key = candidate;
  end loop;
  return null;
end $$;

-- The stored files after this key, in the order of their keys' bytes: a page of all of them.
create or replace function reprise.stored_files_after(p_key text, p_limit int) returns table (key text, bytes bigint) language sql stable
set enable_seqscan = off set enable_bitmapscan = off set enable_hashagg = off as $$
  select f.blob_key, max(f.bytes) from reprise.files f where f.blob_key > p_key group by f.blob_key order by f.blob_key limit p_limit
$$;
