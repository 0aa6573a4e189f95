-- Seed 000's locks, as leases: whoever dies holding one holds nobody up for long. Downloads are `download:<generation>`
-- or, for one result of it, `download:<generation>:<index>`; the wider and the narrower exclude each other. A download's
-- lease is 45 s at most, whatever is asked: a dead owner's result is tried again within a minute.
create or replace function ${COMPAT_SCHEMA}.acquire_operation_lock(p_key text, p_ttl_seconds integer default 60, p_owner text default null)
returns boolean language plpgsql security definer set search_path = pg_catalog as $$
declare
  v_ttl int := greatest(1, coalesce(p_ttl_seconds, 60));
  v_whole text := substring(p_key from '^download:[^:]+');
begin
  if v_whole is not null then
    v_ttl := least(v_ttl, 45);
    perform pg_advisory_xact_lock(hashtextextended(v_whole, 0));
    if exists (select from reprise.operation_locks l
      where (l.key = v_whole or (p_key = v_whole and starts_with(l.key, v_whole || ':')))
        and l.key <> p_key and l.expires_at > reprise.clock() and (l.owner = p_owner) is not true) then
      return false;
    end if;
  end if;
  insert into reprise.operation_locks as l (key, owner, acquired_at, expires_at)
    values (p_key, p_owner, reprise.clock(), reprise.clock() + v_ttl * interval '1 second')
  on conflict (key) do update set owner = excluded.owner, expires_at = reprise.clock() + v_ttl * interval '1 second',
    acquired_at = case when l.owner = excluded.owner and l.expires_at > reprise.clock() then l.acquired_at else reprise.clock() end
    where l.expires_at <= reprise.clock() or l.owner = excluded.owner;
  return found;
end $$;

-- The names that older callers use. The other types keep a call with plain arguments unambiguous: it is the one above.
create or replace function ${COMPAT_SCHEMA}.acquire_operation_lock(_key varchar, _ttl_seconds bigint default 60)
returns boolean language sql security definer set search_path = pg_catalog as $$
  select ${COMPAT_SCHEMA}.acquire_operation_lock(p_key => _key::text, p_ttl_seconds => least(greatest(_ttl_seconds, 1), 86400)::integer, p_owner => null)
$$;

-- Only its own: an owner whose lease has lapsed and was taken over releases nothing.
create or replace function ${COMPAT_SCHEMA}.release_operation_lock(p_key text, p_owner text default null)
returns boolean language plpgsql security definer set search_path = pg_catalog as $$
begin
  delete from reprise.operation_locks where key = p_key and owner is not distinct from p_owner;
  return found;
end $$;

-- The lock under which a track's file is fetched; null when it belongs to no generation.
create or replace function reprise.download_key(p_track uuid) returns text language sql stable as $$
  select 'download:' || t.generation_id || ':' || coalesce(t.track_variant, 1)::bigint - 1 from ${COMPAT_SCHEMA}.tracks t
  where t.id = p_track and t.generation_id is not null
$$;

-- Takes it. Answers null when it is ours, else after how many seconds to ask again: it may be released early.
create or replace function reprise.take_download(p_track uuid, p_owner text) returns int language plpgsql as $$
declare
  v_key text := reprise.download_key(p_track);
begin
  if v_key is null or ${COMPAT_SCHEMA}.acquire_operation_lock(v_key, 45, p_owner) then return null; end if;
  return (select least(5, greatest(1, ceil(extract(epoch from max(l.expires_at) - reprise.clock()))))::int from reprise.operation_locks l
    where l.key in (v_key, substring(v_key from '^download:[^:]+')));
end $$;

revoke all on function ${COMPAT_SCHEMA}.acquire_operation_lock(text, integer, text) from public, anon, authenticated;
revoke all on function ${COMPAT_SCHEMA}.acquire_operation_lock(varchar, bigint) from public, anon, authenticated;
revoke all on function ${COMPAT_SCHEMA}.release_operation_lock(text, text) from public, anon, authenticated;
grant execute on function ${COMPAT_SCHEMA}.acquire_operation_lock(text, integer, text) to service_role;
grant execute on function ${COMPAT_SCHEMA}.acquire_operation_lock(varchar, bigint) to service_role;
grant execute on function ${COMPAT_SCHEMA}.release_operation_lock(text, text) to service_role;
