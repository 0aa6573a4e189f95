-- Seed 002's functions and view, under its names. For the service role only: what they read and write is everybody's.
create or replace function ${COMPAT_SCHEMA}.get_tracks_needing_archiving("limit" integer default 50)
returns table (track_id uuid, user_id uuid, title text, audio_url text, cover_url text, video_url text, created_at timestamptz,
  archive_scheduled_at timestamptz, days_until_expiry numeric) language sql stable rows 50
security definer set search_path = pg_catalog set enable_seqscan = off set enable_bitmapscan = off as $$
  -- The most urgent first; what has expired comes last, so that it never takes the place of what can still be saved.
  select t.id, t.user_id, t.title, t.audio_url, t.cover_url, t.video_url, t.created_at, t.archive_scheduled_at,
    round((extract(epoch from q.expires_at - reprise.now()) / 86400)::numeric, 1)
  from (
    (select 1 as part, a.track_id, a.expires_at, row_number() over (order by a.expires_at, a.track_id) as place from reprise.archivals a
      where a.expires_at > reprise.now() and not a.claimed_done order by a.expires_at, a.track_id limit greatest("limit", 0))
    union all
    (select 2, a.track_id, a.expires_at, row_number() over (order by a.expires_at desc, a.track_id desc) from reprise.archivals a
      where a.expires_at <= reprise.now() and not a.claimed_done order by a.expires_at desc, a.track_id desc limit greatest("limit", 0))
  ) q join ${COMPAT_SCHEMA}.tracks t on t.id = q.track_id
  order by q.part, q.place limit greatest("limit", 0)
$$;

create or replace view ${COMPAT_SCHEMA}.archive_statistics with (security_barrier = true) as
  select archived as total_archived, pending as pending_archive, urgent as urgent_archive_needed, expired as expired_tracks,
    -- of all tracks that have something to archive; 100 when there is none
    case when archived + unverified + pending + expired = 0 then 100.0 else round(100.0 * archived / (archived + unverified + pending + expired), 1) end as archive_percentage,
    unverified as unverified_archived
  from (select
      (select count(*) from ${COMPAT_SCHEMA}.tracks where archived_to_storage and deleted_at is null) - q.unverified as archived,
      q.unverified, q.pending, q.urgent, q.expired
    from (select count(*) filter (where a.claimed_done) as unverified,
        count(*) filter (where not a.claimed_done and a.expires_at > clock.time) as pending,
        count(*) filter (where not a.claimed_done and a.expires_at > clock.time and a.expires_at <= clock.time + interval '2 days') as urgent,
        count(*) filter (where not a.claimed_done and a.expires_at <= clock.time) as expired
      from reprise.archivals a, (select reprise.now() as time offset 0) clock) q) counts;  -- the clock is asked once, not for each row
comment on view ${COMPAT_SCHEMA}.archive_statistics is 'reprise';

-- After a manual upload. The addresses are set at once, as the seed says; that the bytes are there is looked at within
-- seconds, and what is not there is taken back.
create or replace function ${COMPAT_SCHEMA}.mark_track_archived(track_id uuid, audio_url text, cover_url text default null, video_url text default null)
returns void language plpgsql security definer set search_path = pg_catalog as $$
begin
  update ${COMPAT_SCHEMA}.tracks t set
    metadata = t.metadata || jsonb_strip_nulls(jsonb_build_object('provider_url',
      case when t.storage_audio_url is null then coalesce(t.metadata ->> 'provider_url', t.audio_url) end)),
    storage_audio_url = coalesce(mark_track_archived.audio_url, t.storage_audio_url), audio_url = coalesce(mark_track_archived.audio_url, t.audio_url),
    storage_cover_url = coalesce(mark_track_archived.cover_url, t.storage_cover_url), cover_url = coalesce(mark_track_archived.cover_url, t.cover_url),
    storage_video_url = coalesce(mark_track_archived.video_url, t.storage_video_url), video_url = coalesce(mark_track_archived.video_url, t.video_url),
    archived_to_storage = true, archived_at = reprise.now(), updated_at = reprise.now()
  where t.id = mark_track_archived.track_id and t.deleted_at is null;
  if not found then raise exception 'track % does not exist', mark_track_archived.track_id using errcode = 'no_data_found'; end if;
end $$;

revoke all on function ${COMPAT_SCHEMA}.get_tracks_needing_archiving(integer) from public, anon, authenticated;
revoke all on function ${COMPAT_SCHEMA}.mark_track_archived(uuid, text, text, text) from public, anon, authenticated;
revoke all on function ${COMPAT_SCHEMA}.schedule_track_archiving() from public, anon, authenticated;
revoke all on ${COMPAT_SCHEMA}.archive_statistics from public, anon, authenticated;
grant execute on function ${COMPAT_SCHEMA}.get_tracks_needing_archiving(integer) to service_role;
grant execute on function ${COMPAT_SCHEMA}.mark_track_archived(uuid, text, text, text) to service_role;
grant select on ${COMPAT_SCHEMA}.archive_statistics to service_role;

-- The seed's policies; its `USING (true)` for everybody is for the service role alone.
revoke all on ${COMPAT_SCHEMA}.track_archiving_jobs, ${COMPAT_SCHEMA}.notifications from public, anon, authenticated;
drop policy if exists "Users can read own archiving jobs" on ${COMPAT_SCHEMA}.track_archiving_jobs;
create policy "Users can read own archiving jobs" on ${COMPAT_SCHEMA}.track_archiving_jobs for select to authenticated using (auth.uid() = user_id);
drop policy if exists "Users can archive own tracks" on ${COMPAT_SCHEMA}.track_archiving_jobs;
create policy "Users can archive own tracks" on ${COMPAT_SCHEMA}.track_archiving_jobs for insert to authenticated
  with check (auth.uid() = user_id and status = 'pending'
    and exists (select from ${COMPAT_SCHEMA}.tracks t where t.id = track_id and t.user_id = auth.uid() and t.deleted_at is null));
drop policy if exists "Service can manage jobs" on ${COMPAT_SCHEMA}.track_archiving_jobs;
create policy "Service can manage jobs" on ${COMPAT_SCHEMA}.track_archiving_jobs for all to service_role using (true) with check (true);
grant select, insert on ${COMPAT_SCHEMA}.track_archiving_jobs to authenticated;
grant all on ${COMPAT_SCHEMA}.track_archiving_jobs to service_role;

drop policy if exists "Users can read own notifications" on ${COMPAT_SCHEMA}.notifications;
create policy "Users can read own notifications" on ${COMPAT_SCHEMA}.notifications for select to authenticated using (auth.uid() = user_id);
drop policy if exists "Users can mark own notifications" on ${COMPAT_SCHEMA}.notifications;
create policy "Users can mark own notifications" on ${COMPAT_SCHEMA}.notifications for update to authenticated using (auth.uid() = user_id) with check (auth.uid() = user_id);
drop policy if exists "Service manages notifications" on ${COMPAT_SCHEMA}.notifications;
create policy "Service manages notifications" on ${COMPAT_SCHEMA}.notifications for all to service_role using (true) with check (true);
grant select on ${COMPAT_SCHEMA}.notifications to authenticated;
grant update (read_at) on ${COMPAT_SCHEMA}.notifications to authenticated;
grant all on ${COMPAT_SCHEMA}.notifications to service_role;
