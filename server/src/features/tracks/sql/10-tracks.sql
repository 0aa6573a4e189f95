-- Writes what a batch of moves has stored: names of files, new tracks, covers of tracks.
create or replace function reprise.follow_tracks(p_files jsonb, p_tracks jsonb, p_covers jsonb) returns void language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan -- see 10-records.sql
-- the files of these rows are stored and verified: the archive's triggers need not look at them
set reprise.vouched = 'on' as $$
begin
  -- Who deletes a track at this moment waits for us, or we see it below.
  perform from ${COMPAT_SCHEMA}.tracks t where t.id in (select f.track_id from jsonb_to_recordset(p_files) as f (track_id uuid))
    order by t.id for no key update;

  -- Whatever arrives late: what belongs to a deleted track gets no name again.
  insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime, track_id, source_url)
    select f.bucket, f.path, f.blob_key, f.user_id, f.sha256, f.bytes, f.mime, f.track_id, f.source_url
    from jsonb_to_recordset(p_files) as f (bucket text, path text, blob_key text, user_id uuid, sha256 text, bytes bigint, mime text, track_id uuid, source_url text)
    where not exists (select from ${COMPAT_SCHEMA}.tracks t where t.id = f.track_id and t.deleted_at is not null)
  on conflict (bucket, path) do nothing;

  if p_tracks <> '[]' then
    insert into ${COMPAT_SCHEMA}.tracks (id, user_id, title, prompt, lyrics, style_tags, provider, model, status, audio_url, cover_url,
      duration, duration_ms, metadata, generation_id, track_variant, total_variants, sha256, bytes, mime, archived_to_storage,
      storage_audio_url, storage_cover_url, archive_scheduled_at, archived_at, created_at, updated_at)
    select t.id, t.user_id, t.title, t.prompt, t.lyrics, string_to_array(t.tags, ', '), t.provider, t.model, 'completed', t.audio_url, t.cover_url,
      round(t.duration_ms / 1000.0)::int, t.duration_ms, t.metadata, t.generation_id, t.track_variant, t.total_variants, t.sha256, t.bytes, t.mime, true,
      t.audio_url, t.cover_url, reprise.at(t.created_at) + interval '13 days', reprise.at(t.at), reprise.at(t.at), reprise.at(t.at)
    from jsonb_to_recordset(p_tracks) as t (id uuid, user_id uuid, title text, prompt text, lyrics text, tags text, provider text, model text,
      audio_url text, cover_url text, duration_ms int, metadata jsonb, generation_id uuid, track_variant int, total_variants int, sha256 text,
      bytes bigint, mime text, created_at double precision, at double precision)
    on conflict (id) do nothing;

    -- The attempt to archive it is told like any other; it began when the provider had the file.
    insert into ${COMPAT_SCHEMA}.track_archiving_jobs (track_id, user_id, status, original_audio_url, storage_audio_url, started_at, completed_at, metadata)
    select t.id, t.user_id, 'completed', t.metadata ->> 'provider_url', t.audio_url, coalesce(r.known_at, reprise.at(t.at)), reprise.at(t.at), '{"cause": "completion"}'
    from (select c.* from jsonb_to_recordset(p_tracks) as c (id uuid, user_id uuid, audio_url text, metadata jsonb, at double precision) limit jsonb_array_length(p_tracks)) t
    join reprise.results r on r.id = t.id;
  end if;

  if p_covers <> '[]' then
    update ${COMPAT_SCHEMA}.tracks t set cover_url = c.url, storage_cover_url = c.url, updated_at = reprise.now()
    from (select c.* from jsonb_to_recordset(p_covers) as c (id uuid, url text) limit jsonb_array_length(p_covers)) c
    where t.id = c.id and t.deleted_at is null;
  end if;
end $$;

-- Owners read their own tracks; the service role may do everything. Supabase opens new tables to everybody by default.
revoke all on ${COMPAT_SCHEMA}.tracks from public, anon, authenticated;
drop policy if exists "Owners read their tracks" on ${COMPAT_SCHEMA}.tracks;
create policy "Owners read their tracks" on ${COMPAT_SCHEMA}.tracks for select to authenticated
  using (auth.uid() = user_id and deleted_at is null);
drop policy if exists "Service role manages tracks" on ${COMPAT_SCHEMA}.tracks;
create policy "Service role manages tracks" on ${COMPAT_SCHEMA}.tracks for all to service_role using (true) with check (true);
grant select on ${COMPAT_SCHEMA}.tracks to authenticated;
grant all on ${COMPAT_SCHEMA}.tracks to service_role;
-- A default of the table is worked out with the rights of who inserts.
grant execute on function reprise.now() to service_role;
