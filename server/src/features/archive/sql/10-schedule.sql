-- How long the host of this address keeps its files. The longest name that fits decides.
create or replace function reprise.retention_of(p_url text) returns interval language sql stable as $$
  select coalesce((
    select r.keeps from reprise.retentions r
    cross join (select lower(substring(p_url from '^[a-zA-Z]+://(?:[^/@]*@)?([^/:?#]+)')) as host) u
    where u.host = r.host or right(u.host, length(r.host) + 1) = '.' || r.host
    order by length(r.host) desc limit 1), interval '15 days')
$$;

-- When the first of a track's files goes that is not ours yet; null when all are.
create or replace function reprise.expiry_of(t ${COMPAT_SCHEMA}.tracks) returns timestamptz language sql stable as $$
  select t.created_at + least(
    case when t.audio_url is not null and t.storage_audio_url is null then reprise.retention_of(t.audio_url) end,
    case when t.cover_url is not null and t.storage_cover_url is null then reprise.retention_of(t.cover_url) end,
    case when t.video_url is not null and t.storage_video_url is null then reprise.retention_of(t.video_url) end)
$$;

-- Puts a track into the archive's queue, or asks for it anew; a worker that is at it is left alone.
create or replace function reprise.arm_archival(p_track uuid, p_user uuid, p_expires timestamptz, p_claimed_done boolean) returns void language sql as $$
  insert into reprise.archivals as a (track_id, user_id, expires_at, claimed_done) values (p_track, p_user, p_expires, p_claimed_done)
  on conflict (track_id) do update set expires_at = excluded.expires_at, claimed_done = excluded.claimed_done, last_error = null,
    tries = case when a.lease_until > reprise.now() then a.tries else 0 end,
    next_at = case when a.lease_until > reprise.now() then a.next_at else '-infinity' end;
  -- The channel of engine/wake.ts. Within one transaction equal notices are one.
  select pg_notify('reprise_wake', 'sql:archive');
$$;

-- Seed 002: runs on INSERT and UPDATE of `tracks`, whoever writes.
create or replace function ${COMPAT_SCHEMA}.schedule_track_archiving() returns trigger language plpgsql
security definer set search_path = pg_catalog as $$
begin
  new.archive_scheduled_at := new.created_at + interval '13 days';
  if tg_op = 'UPDATE' then
    -- Who writes the provider's address again over ours has not seen that the song is stored.
    if new.storage_audio_url is not null and new.storage_audio_url is not distinct from old.storage_audio_url
      and new.audio_url is distinct from old.audio_url and new.audio_url = old.metadata ->> 'provider_url' then
      new.audio_url := new.storage_audio_url;
    end if;
    -- Another file under a new address is not the one that we have.
    if new.audio_url is distinct from old.audio_url and new.audio_url is distinct from new.storage_audio_url
      and new.storage_audio_url is not distinct from old.storage_audio_url then
      new.storage_audio_url := null; new.archived_to_storage := false; new.expires_at := null;
      if new.metadata ->> 'provider_url' = old.metadata ->> 'provider_url' then new.metadata := new.metadata - 'provider_url'; end if;
    end if;
    if new.cover_url is distinct from old.cover_url and new.cover_url is distinct from new.storage_cover_url
      and new.storage_cover_url is not distinct from old.storage_cover_url then
      new.storage_cover_url := null; new.archived_to_storage := false; new.expires_at := null;
    end if;
    if new.video_url is distinct from old.video_url and new.video_url is distinct from new.storage_video_url
      and new.storage_video_url is not distinct from old.storage_video_url then
      new.storage_video_url := null; new.archived_to_storage := false; new.expires_at := null;
    end if;
  end if;
  if new.archived_to_storage then
    new.archived_at := coalesce(new.archived_at, reprise.now());
    new.expires_at := null;
  else
    new.archived_at := null;
    if new.expires_at is null then new.expires_at := reprise.expiry_of(new); end if;
  end if;
  return new;
end $$;

-- A finished song that has a file somewhere else is archived at once, whoever wrote the row; a row that claims to be
-- archived is believed when its bytes were looked at.
create or replace function reprise.arm_track() returns trigger language plpgsql
security definer set search_path = pg_catalog as $$
begin
  if new.archived_to_storage and tg_op = 'UPDATE' and old.archived_to_storage and old.status = 'completed'
    and (new.storage_audio_url, new.storage_cover_url, new.storage_video_url) is not distinct from (old.storage_audio_url, old.storage_cover_url, old.storage_video_url) then
    return null;
  end if;
  if coalesce(new.audio_url, new.cover_url, new.video_url, new.storage_audio_url) is null then return null; end if;
  perform reprise.arm_archival(new.id, new.user_id, coalesce(new.expires_at, new.created_at + interval '15 days'), new.archived_to_storage);
  return null;
end $$;

-- Rows that Reprise writes itself with their files stored and verified are vouched for: they are not looked at again.
create or replace trigger schedule_archiving before insert or update on ${COMPAT_SCHEMA}.tracks for each row
  when (current_setting('reprise.vouched', true) is distinct from 'on') execute function ${COMPAT_SCHEMA}.schedule_track_archiving();
create or replace trigger arm_archiving after insert or update of status, audio_url, cover_url, video_url, archived_to_storage, storage_audio_url,
  storage_cover_url, storage_video_url, deleted_at on ${COMPAT_SCHEMA}.tracks for each row
  when (new.status = 'completed' and new.deleted_at is null and current_setting('reprise.vouched', true) is distinct from 'on') execute function reprise.arm_track();

-- A pending job is a wish: its track is taken up at once, also one that waits for tomorrow.
create or replace function reprise.arm_job() returns trigger language plpgsql
security definer set search_path = pg_catalog as $$
declare
  t ${COMPAT_SCHEMA}.tracks;
begin
  select * into t from ${COMPAT_SCHEMA}.tracks where id = new.track_id;
  perform reprise.arm_archival(t.id, t.user_id, coalesce(t.expires_at, t.created_at + interval '15 days'), t.archived_to_storage);
  return null;
end $$;
create or replace trigger arm_archiving after insert on ${COMPAT_SCHEMA}.track_archiving_jobs for each row
  when (new.status = 'pending') execute function reprise.arm_job();

-- A track that is deleted, by whatever hand, takes its place in the queue, its open jobs and the names of its files with
-- it: its addresses answer no more.
create or replace function reprise.forget_track() returns trigger language plpgsql
security definer set search_path = pg_catalog as $$
begin
  delete from reprise.archivals where track_id = old.id;
  delete from reprise.files where track_id = old.id;
  update ${COMPAT_SCHEMA}.track_archiving_jobs set status = 'failed', error_message = 'the track was deleted', completed_at = reprise.now(), updated_at = reprise.now()
    where track_id = old.id and status in ('pending', 'processing');
  return null;
end $$;
create or replace trigger forget_deleted after update of deleted_at on ${COMPAT_SCHEMA}.tracks for each row
  when (old.deleted_at is null and new.deleted_at is not null) execute function reprise.forget_track();
create or replace trigger forget_removed after delete on ${COMPAT_SCHEMA}.tracks for each row execute function reprise.forget_track();

-- An owner asks for a track and writes nothing else: what a job says is the operator's figures. Runs with the rights of
-- who inserts, which is how it knows them.
create or replace function ${COMPAT_SCHEMA}.plain_archiving_job() returns trigger language plpgsql set search_path = pg_catalog as $$
begin
  new.original_audio_url := null; new.original_cover_url := null; new.original_video_url := null;
  new.storage_audio_url := null; new.storage_cover_url := null; new.storage_video_url := null;
  new.started_at := null; new.completed_at := null; new.error_message := null; new.metadata := '{"cause": "owner"}';
  new.created_at := now(); new.updated_at := now();
  return new;
end $$;
create or replace trigger plain_job before insert on ${COMPAT_SCHEMA}.track_archiving_jobs for each row
  when (current_user in ('authenticated', 'anon')) execute function ${COMPAT_SCHEMA}.plain_archiving_job();

-- The safety net under the triggers: finished tracks that are neither archived nor in the queue (restored from a dump,
-- written while triggers were off), and jobs that nobody has taken up. Answers how many were found.
create or replace function reprise.rearm_archive() returns int language plpgsql as $$
declare
  found_rows int;
begin
  perform reprise.arm_archival(t.id, t.user_id, coalesce(t.expires_at, reprise.expiry_of(t), t.created_at + interval '15 days'), false)
  from ${COMPAT_SCHEMA}.tracks t
  where t.status = 'completed' and not t.archived_to_storage and t.deleted_at is null and coalesce(t.audio_url, t.cover_url, t.video_url) is not null
    and not exists (select from reprise.archivals a where a.track_id = t.id);
  get diagnostics found_rows = row_count;
  perform reprise.arm_archival(t.id, t.user_id, coalesce(t.expires_at, t.created_at + interval '15 days'), t.archived_to_storage)
  from ${COMPAT_SCHEMA}.track_archiving_jobs j join ${COMPAT_SCHEMA}.tracks t on t.id = j.track_id
  where j.status = 'pending' and not exists (select from reprise.archivals a where a.track_id = t.id and a.next_at = '-infinity');
  return found_rows;
end $$;
