-- A part of a path, whatever somebody has called it.
create or replace function reprise.plain_name(p_text text) returns text language sql immutable as $$
  select nullif(left(regexp_replace(regexp_replace(p_text, '[^A-Za-z0-9._-]+', '_', 'g'), '^\.+', ''), 100), '')
$$;

-- What the team writes into its JSON may be anything: what does not fit is passed over, never a fault of the statement that writes
-- it, or of a move of ours.
create or replace function reprise.uuid_told(p_text text) returns uuid language sql immutable as $$
  select case when p_text ~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' then p_text::uuid end
$$;
create or replace function reprise.url_told(p_texts text[]) returns text language sql immutable as $$
  select u.url from unnest(p_texts) with ordinality u (url, place) where u.url ~* '^https?://' order by u.place limit 1
$$;
create or replace function reprise.song_url_told(p_song jsonb) returns text language sql immutable as $$
  select reprise.url_told(array[p_song ->> 'provider_url', p_song ->> 'audio_url', p_song ->> 'url', p_song ->> 'mp3_url'])
$$;

-- The results that a row of the team itself tells of, in whatever list; without any list its one address is the only result.
create or replace function reprise.results_told(p_metadata jsonb, p_result_url text)
returns table (index int, provider_id text, provider_url text, title text, lyrics text, track_id uuid, told jsonb) language plpgsql immutable as $$
declare
  v_list jsonb;
  v_name text;
begin
  foreach v_name in array array['results', 'songs', 'tracks', 'choices'] loop
    if jsonb_typeof(p_metadata -> v_name) = 'array' and exists (select from jsonb_array_elements(p_metadata -> v_name) e where reprise.song_url_told(e) is not null) then
      v_list := p_metadata -> v_name;
      exit;
    end if;
  end loop;
  v_list := coalesce(v_list, jsonb_build_array(jsonb_build_object('title', p_metadata -> 'title', 'lyrics', p_metadata -> 'lyrics', 'provider_url',
    reprise.url_told(array[p_metadata ->> 'provider_url', p_metadata ->> 'external_url', p_metadata ->> 'audio_url', p_result_url]))));
  return query
  select (n.place - 1)::int, coalesce(n.one ->> 'provider_id', n.one ->> 'id', n.one ->> 'audio_id'), u.url, n.one ->> 'title', n.one ->> 'lyrics',
    reprise.uuid_told(n.one ->> 'track_id'), n.one
  from jsonb_array_elements(v_list) with ordinality n (one, place)
  cross join lateral (select reprise.song_url_told(n.one) as url) u
  where u.url is not null;
end $$;

-- What is known of a generation's results, ours by our own records. `track_id` is that of the song, also when it is not there yet.
create or replace function reprise.results_of(p_id uuid)
returns table (index int, provider_id text, provider_url text, title text, lyrics text, track_id uuid, told jsonb) language plpgsql stable
set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
begin
  if exists (select from reprise.generations g where g.id = p_id) then
    return query
    select r.index, r.provider_result_id, r.source_url, r.title, r.lyrics, r.id, '{}'::jsonb from reprise.results r
    where r.generation_id = p_id and r.role = 'final' and (r.source_url is not null or r.state = 'stored');
    return;
  end if;
  return query
  select n.index, n.provider_id, n.provider_url, n.title, n.lyrics, coalesce(t.id, n.track_id), n.told
  from ${COMPAT_SCHEMA}.ai_generations g cross join reprise.results_told(g.metadata, g.result_url) n
  left join lateral (
    select t.id from ${COMPAT_SCHEMA}.tracks t where t.generation_id = p_id and t.track_variant = n.index + 1 order by t.deleted_at nulls first, t.created_at limit 1) t on true
  where g.id = p_id;
end $$;

-- The name that seed 000 gives a stored song; null when its bytes are not in our storage. Bytes are stored once.
create or replace function reprise.name_for_generation(p_generation ${COMPAT_SCHEMA}.ai_generations, p_index int, p_track ${COMPAT_SCHEMA}.tracks)
returns reprise.files language plpgsql as $$
declare
  v_at text[] := regexp_match(p_track.storage_audio_url, '/storage/v1/object/public/([^/]+)/([^?#]+)');
  v_file reprise.files;
  v_named reprise.files;
  v_folder text;
  v_ext text;
  v_wish text;
begin
  select * into v_file from reprise.files f where f.bucket = v_at[1] and f.path = v_at[2] and f.track_id = p_track.id;
  if not found or v_file.bucket = 'albert-tracks' then return v_file; end if;
  select * into v_named from reprise.files f where f.track_id = p_track.id and f.bucket = 'albert-tracks' and f.blob_key = v_file.blob_key order by f.created_at, f.path limit 1;
  if found then return v_named; end if;
  v_folder := p_generation.user_id || '/' || coalesce(reprise.plain_name(p_generation.service), 'unknown') || '/'
    || coalesce(reprise.plain_name(p_generation.task_id), p_generation.id::text) || '/';
  v_ext := coalesce(substring(v_file.path from '\.[A-Za-z0-9]{1,5}$'), '');
  v_wish := reprise.plain_name(p_generation.metadata -> 'filenames' ->> p_index::text);
  foreach v_wish in array array[regexp_replace(v_wish, '\.[A-Za-z0-9]{1,5}$', ''),
    coalesce(reprise.plain_name(p_generation.service), 'unknown') || '_' || p_index + 1 || '_' || left(p_track.id::text, 8), p_track.id::text] loop
    continue when coalesce(v_wish, '') = '';
    insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime, track_id, source_url, created_at, checked_at, verified_at)
      values ('albert-tracks', v_folder || v_wish || v_ext, v_file.blob_key, v_file.user_id, v_file.sha256, v_file.bytes, v_file.mime, v_file.track_id, v_file.source_url,
        v_file.created_at, v_file.checked_at, v_file.verified_at)
    on conflict (bucket, path) do nothing returning * into v_named;
    if found then return v_named; end if;
  end loop;
  return null;
end $$;

-- Writes a row as the records and tracks are now. Whoever had to wait for the row sees what was written before.
create or replace function reprise.refresh_ai_generation(p_id uuid) returns void language plpgsql set reprise.refreshing = 'on'
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare
  v_row ${COMPAT_SCHEMA}.ai_generations;
  v_new ${COMPAT_SCHEMA}.ai_generations;
  v_own reprise.generations;
  v_known record;
  v_track ${COMPAT_SCHEMA}.tracks;
  v_file reprise.files;
  v_results jsonb := '[]';
  v_stored jsonb;
  v_local_url text;
  v_provider_url text;
begin
  select * into v_row from ${COMPAT_SCHEMA}.ai_generations where id = p_id for no key update;
  if not found then return; end if;
  v_new := v_row;
  select * into v_own from reprise.generations where id = p_id;
  if found then
    v_new.task_id := regexp_replace(v_own.provider_task_id, '^instrumental-', '');
    v_new.status := case v_own.state when 'queued' then 'pending' when 'complete' then 'completed' when 'failed' then 'failed' when 'timed_out' then 'failed'
      when 'cancelled' then 'cancelled' else 'processing' end;
    v_new.error_message := case when v_new.status = 'failed' then coalesce((select l.label from reprise.error_labels l where l.code = v_own.error_code), v_own.error_code) end;
    v_new.metadata := v_new.metadata || jsonb_strip_nulls(jsonb_build_object('mureka_task_id', v_new.task_id, 'error_code', v_own.error_code, 'arrived_late', v_own.arrived_late_at));
  end if;

  v_new.track_id := null;
  for v_known in select * from reprise.results_of(p_id) k order by k.index loop
    select * into v_track from ${COMPAT_SCHEMA}.tracks t where t.id = v_known.track_id and t.deleted_at is null;
    v_file := reprise.name_for_generation(v_new, v_known.index, v_track);
    v_new.track_id := coalesce(v_new.track_id, v_track.id);
    v_provider_url := coalesce(v_provider_url, case when v_track.id is not null or v_own.id is null or v_own.finished_at is null then v_known.provider_url end);
    if v_file.path is not null and v_stored is null then
      v_stored := jsonb_build_object('local_storage_path', v_file.path, 'file_size', v_file.bytes);
      v_local_url := split_part(v_track.storage_audio_url, '/storage/v1/object/', 1) || '/storage/v1/object/public/albert-tracks/' || v_file.path || '?v=' || left(v_file.sha256, 8);
    end if;
    v_results := v_results || jsonb_build_array(v_known.told || jsonb_build_object('index', v_known.index, 'provider_id', v_known.provider_id, 'provider_url', v_known.provider_url,
      'local_storage_path', v_file.path, 'track_id', v_known.track_id, 'sha256', v_file.sha256, 'bytes', v_file.bytes));
  end loop;

  -- A copy that the team keeps itself is the team's to tell of.
  if v_stored is not null or v_row.metadata -> 'results' @> jsonb_build_array(jsonb_build_object('local_storage_path', v_row.metadata -> 'local_storage_path')) then
    v_new.metadata := (v_new.metadata - 'local_storage_path' - 'file_size') || coalesce(v_stored, '{}');
  end if;
  if v_results <> '[]' then v_new.metadata := v_new.metadata || jsonb_build_object('results', v_results); end if;
  v_new.track_id := coalesce(v_new.track_id, v_row.track_id);
  v_new.result_url := coalesce(v_local_url, v_provider_url, case when v_own.id is null then v_row.result_url end);
  if v_new is distinct from v_row then
    update ${COMPAT_SCHEMA}.ai_generations set status = v_new.status, result_url = v_new.result_url, track_id = v_new.track_id, task_id = v_new.task_id,
      error_message = v_new.error_message, metadata = v_new.metadata, updated_at = reprise.now() where id = p_id;
  end if;
end $$;

-- Our own generations of this provider have a row from the moment at which they are accepted, whichever door they came through.
create or replace function reprise.begin_ai_generation() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
begin
  insert into ${COMPAT_SCHEMA}.ai_generations (id, user_id, service, prompt, status, metadata, created_at, updated_at)
  values (new.id, new.user_id, new.provider, new.request ->> 'prompt', 'pending', jsonb_strip_nulls(jsonb_build_object('title', new.request ->> 'title',
    'lyrics', new.request ->> 'lyrics', 'model', new.request ->> 'model', 'instrumental', new.request -> 'instrumental')), new.created_at, new.created_at)
  on conflict (id) do nothing;
  return null;
end $$;
create or replace trigger begin_ai_generation after insert on reprise.generations for each row when (new.provider = 'mureka') execute function reprise.begin_ai_generation();

-- Called in the transaction of every move.
create or replace function reprise.follow_ai_generations(p_ids uuid[]) returns void language plpgsql as $$
declare
  v_id uuid;
begin
  for v_id in select distinct i from unnest(p_ids) i order by i loop
    perform reprise.refresh_ai_generation(v_id);
  end loop;
end $$;

-- A song takes what its user has said of it before it was there.
create or replace function reprise.take_wishes() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
declare
  v_wishes jsonb;
begin
  select g.metadata into v_wishes from ${COMPAT_SCHEMA}.ai_generations g where g.id = new.generation_id for no key update;
  if not found then return new; end if;
  new.project_id := coalesce(new.project_id, reprise.uuid_told(v_wishes ->> 'project_id'));
  new.artist_id := coalesce(new.artist_id, reprise.uuid_told(v_wishes ->> 'artist_id'));
  new.title := coalesce(v_wishes -> 'titles' ->> (new.track_variant::bigint - 1)::text, new.title);
  return new;
end $$;
create or replace trigger take_wishes before insert on ${COMPAT_SCHEMA}.tracks for each row when (new.generation_id is not null) execute function reprise.take_wishes();

-- Whoever stores, moves or deletes a song: its generation tells it.
create or replace function reprise.tell_generation() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
begin
  perform reprise.refresh_ai_generation(new.generation_id);
  return null;
end $$;
create or replace trigger tell_generation after insert or update of storage_audio_url, deleted_at, generation_id on ${COMPAT_SCHEMA}.tracks for each row
  when (new.generation_id is not null) execute function reprise.tell_generation();

-- All songs of a generation, in the order in which everybody locks: first the songs, then their generation. Of many at once
-- the second sees what the first has made.
create or replace function reprise.lock_songs(p_id uuid) returns void language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('songs of ' || p_id, 0));
  perform from ${COMPAT_SCHEMA}.tracks t where t.id in (
    select n.id from ${COMPAT_SCHEMA}.tracks n where n.generation_id = p_id union all select k.track_id from reprise.results_of(p_id) k
    union all select g.track_id from ${COMPAT_SCHEMA}.ai_generations g where g.id = p_id) order by t.id for no key update;
end $$;

-- The songs of a row of the team itself: each that is missing is made, with the provider's address, which puts it into the
-- archive's queue. One that was deleted is not made again.
create or replace function reprise.make_tracks(p_id uuid) returns void language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare
  v_row ${COMPAT_SCHEMA}.ai_generations;
  v_known record;
  v_track ${COMPAT_SCHEMA}.tracks;
  v_total int;
begin
  perform reprise.lock_songs(p_id);
  select * into v_row from ${COMPAT_SCHEMA}.ai_generations where id = p_id;
  select count(*) into v_total from reprise.results_of(p_id);
  for v_known in select * from reprise.results_of(p_id) k order by k.index loop
    select * into v_track from ${COMPAT_SCHEMA}.tracks t where t.id = coalesce(v_known.track_id, case when v_known.index = 0 then v_row.track_id end) and t.user_id = v_row.user_id;
    if found then
      update ${COMPAT_SCHEMA}.tracks t set generation_id = p_id, track_variant = v_known.index + 1, status = 'completed', updated_at = reprise.now(),
        audio_url = case when t.storage_audio_url is null then v_known.provider_url else t.audio_url end
      where t.id = v_track.id and t.deleted_at is null and (t.generation_id, t.track_variant, t.status, coalesce(t.storage_audio_url, t.audio_url))
        is distinct from (p_id, v_known.index + 1, 'completed', coalesce(t.storage_audio_url, v_known.provider_url));
    elsif v_known.track_id is null then
      insert into ${COMPAT_SCHEMA}.tracks (user_id, title, prompt, lyrics, provider, model, status, audio_url, metadata, generation_id, track_variant, total_variants, created_at)
      values (v_row.user_id, coalesce(v_known.title, v_row.metadata ->> 'title', left(v_row.prompt, 60)), v_row.prompt, coalesce(v_known.lyrics, v_row.metadata ->> 'lyrics'),
        v_row.service, v_row.metadata ->> 'model', 'completed', v_known.provider_url,
        jsonb_strip_nulls(jsonb_build_object('provider_url', v_known.provider_url, 'provider_result_id', v_known.provider_id, 'provider_task_id', v_row.task_id)),
        p_id, v_known.index + 1, v_total, v_row.created_at);
    end if;
  end loop;
end $$;

create or replace function reprise.name_task() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
begin
  new.task_id := coalesce(new.task_id, (select t.id from unnest(array[new.metadata ->> 'mureka_task_id', new.metadata ->> 'task_id', new.metadata ->> 'taskId'])
    with ordinality t (id, place) where length(t.id) between 1 and 500 order by t.place limit 1));
  return new;
end $$;
create or replace trigger name_task before insert or update of task_id, metadata on ${COMPAT_SCHEMA}.ai_generations for each row execute function reprise.name_task();

-- A finished generation of the team itself is fetched without anybody asking: a worker makes its songs in a moment. The
-- statement that finishes it waits for no song.
create or replace function reprise.save_foreign_generation() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
begin
  if exists (select from reprise.generations g where g.id = new.id) then return null; end if;
  insert into reprise.foreign_generations (id) values (new.id);
  perform pg_notify('reprise_wake', 'sql:songs');
  return null;
end $$;
create or replace trigger save_foreign_generation after insert or update of status, result_url, metadata on ${COMPAT_SCHEMA}.ai_generations for each row
  when (new.status = 'completed' and current_setting('reprise.refreshing', true) is distinct from 'on') execute function reprise.save_foreign_generation();

-- What is written while this works leaves an entry of its own. False when another process is at it.
create or replace function reprise.make_foreign_tracks(p_id uuid) returns boolean language plpgsql as $$
begin
  delete from reprise.foreign_generations where seq in (select q.seq from reprise.foreign_generations q where q.id = p_id for update skip locked);
  if not found then return false; end if;
  perform reprise.make_tracks(p_id);
  return true;
end $$;

-- Seed 000: makes a generation's songs, or gives them project and artist. Answers the first one's id, null while there is none.
create or replace function ${COMPAT_SCHEMA}.create_or_update_track_from_generation(p_generation_id uuid, p_project_id uuid default null, p_artist_id uuid default null)
returns uuid language plpgsql security definer set search_path = pg_catalog as $$
begin
  if not exists (select from ${COMPAT_SCHEMA}.ai_generations g where g.id = p_generation_id) then
    raise exception 'generation % does not exist', p_generation_id using errcode = 'no_data_found';
  end if;
  if p_project_id is not null or p_artist_id is not null then
    -- A song that comes meanwhile takes it from its generation.
    perform reprise.lock_songs(p_generation_id);
    update ${COMPAT_SCHEMA}.ai_generations g set updated_at = reprise.now(),
      metadata = g.metadata || jsonb_strip_nulls(jsonb_build_object('project_id', p_project_id, 'artist_id', p_artist_id)) where g.id = p_generation_id;
    update ${COMPAT_SCHEMA}.tracks t set project_id = coalesce(p_project_id, t.project_id), artist_id = coalesce(p_artist_id, t.artist_id), updated_at = reprise.now()
      where t.generation_id = p_generation_id and t.deleted_at is null;
  end if;
  if not exists (select from reprise.generations g where g.id = p_generation_id) then perform reprise.make_tracks(p_generation_id); end if;
  return (select t.id from ${COMPAT_SCHEMA}.tracks t where t.generation_id = p_generation_id and t.deleted_at is null order by t.track_variant limit 1);
end $$;
revoke all on function ${COMPAT_SCHEMA}.create_or_update_track_from_generation(uuid, uuid, uuid) from public, anon, authenticated;
grant execute on function ${COMPAT_SCHEMA}.create_or_update_track_from_generation(uuid, uuid, uuid) to service_role;

revoke all on ${COMPAT_SCHEMA}.ai_generations from public, anon, authenticated;
drop policy if exists "Owners read their generations" on ${COMPAT_SCHEMA}.ai_generations;
create policy "Owners read their generations" on ${COMPAT_SCHEMA}.ai_generations for select to authenticated using (auth.uid() = user_id);
drop policy if exists "Service manages generations" on ${COMPAT_SCHEMA}.ai_generations;
create policy "Service manages generations" on ${COMPAT_SCHEMA}.ai_generations for all to service_role using (true) with check (true);
grant select on ${COMPAT_SCHEMA}.ai_generations to authenticated;
grant all on ${COMPAT_SCHEMA}.ai_generations to service_role;
