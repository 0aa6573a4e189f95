-- Batches are small and tables grow: every function on the way of a move looks rows up one by one. A plan that was made
-- while a table was small, and kept, would otherwise read all of it for ever after. Hence the settings at each of them.
-- force_generic_plan: planning such a statement anew takes longer than running it. A `limit` of what a list of rows holds
-- tells the planner that it is short, so that a join starts from it.

-- Epoch milliseconds, as the engine counts, to a time and back.
create or replace function reprise.at(ms double precision) returns timestamptz language sql immutable parallel safe as $$
  select to_timestamp(ms / 1000.0)
$$;

-- json, not jsonb: it is only written out, and building it costs half as much.
drop function if exists reprise.load_records(uuid[]);
drop function if exists reprise.read_records(uuid[]);
create or replace function reprise.read_records(p_ids uuid[])
returns table (generation json, attempts json, results json, now_ms double precision) language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
begin
  return query
  select row_to_json(g),
    coalesce((select json_agg(a order by a.number) from reprise.attempts a where a.generation_id = g.id), '[]'),
    coalesce((select json_agg(r order by r.role desc, r.index) from reprise.results r where r.generation_id = g.id), '[]'),
    floor(extract(epoch from reprise.clock()) * 1000)::double precision
  from reprise.generations g where g.id = any (p_ids) order by g.id;
end $$;

-- Locks the generations in the order of their ids (so that two batches never wait for each other in a circle), and
-- only then reads them with their attempts and results: a reader that waited must not see what was true before.
create or replace function reprise.load_records(p_ids uuid[])
returns table (generation json, attempts json, results json, now_ms double precision) language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
begin
  perform 1 from reprise.generations where id = any (p_ids) order by id for update;
  return query select * from reprise.read_records(p_ids);
end $$;

-- Writes what a batch of decisions changed. The only statement anywhere that changes the state of a generation.
create or replace function reprise.write_records(p_generations jsonb, p_attempts jsonb, p_results jsonb, p_events jsonb, p_outbox jsonb)
returns void language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
begin
  update reprise.generations g set
    account = n.account, state = n.state, indeterminate_until = reprise.at(n.indeterminate_until), blocked_reason = n.blocked_reason,
    missing = n.missing, arrived_late_at = reprise.at(n.arrived_late_at), error_code = n.error_code, error_detail = n.error_detail,
    provider_task_id = n.provider_task_id, finished_at = reprise.at(n.finished_at), heard_at = reprise.at(n.heard_at),
    dispatch_at = reprise.at(n.dispatch_at), check_at = reprise.at(n.check_at), checks = n.checks, empty_checks = n.empty_checks,
    unreachable_checks = n.unreachable_checks, woken_at = reprise.at(n.woken_at), next_at = reprise.at(n.next_at),
    changed_at = reprise.at(n.changed_at), fence = g.fence + n.fence_step,
    lease_owner = case n.lease when 'keep' then g.lease_owner when 'take' then n.lease_owner end,
    lease_until = case n.lease when 'keep' then g.lease_until when 'take' then reprise.at(n.lease_until) end
  from (select c.* from jsonb_to_recordset(p_generations) as c (id uuid, account text, state text, indeterminate_until double precision,
    blocked_reason text, missing int, arrived_late_at double precision, error_code text, error_detail text, provider_task_id text,
    finished_at double precision, heard_at double precision, dispatch_at double precision, check_at double precision, checks int,
    empty_checks int, unreachable_checks int, woken_at double precision, next_at double precision, changed_at double precision,
    fence_step int, lease text, lease_owner text, lease_until double precision) limit jsonb_array_length(p_generations)) n
  where g.id = n.id;

  if p_attempts <> '[]' then
    insert into reprise.attempts (id, generation_id, number, state, provider, account, adapter, token_hash, task_id, error_code,
      error_detail, claimed, created_at, sent_at, accepted_at, ended_at)
    select n.id, n.generation_id, n.number, n.state, n.provider, n.account, n.adapter, decode(n.token_hash, 'hex'), n.task_id, n.error_code,
      n.error_detail, n.claimed, reprise.at(n.created_at), reprise.at(n.sent_at), reprise.at(n.accepted_at), reprise.at(n.ended_at)
    from jsonb_to_recordset(p_attempts) as n (id uuid, generation_id uuid, number int, state text, provider text, account text,
      adapter text, token_hash text, task_id text, error_code text, error_detail text, claimed jsonb, created_at double precision,
      sent_at double precision, accepted_at double precision, ended_at double precision)
    on conflict (id) do update set state = excluded.state, task_id = excluded.task_id, error_code = excluded.error_code,
      error_detail = excluded.error_detail, claimed = excluded.claimed, sent_at = excluded.sent_at,
      accepted_at = excluded.accepted_at, ended_at = excluded.ended_at;
  end if;

  if p_results <> '[]' then
    insert into reprise.results as r (id, generation_id, role, index, state, settled, attempt_id, provider_result_id, source_url,
      staged_key, preview_url, title, tags, lyrics, provider_duration_ms, known_at, blob_key, sha256, bytes, mime, duration_ms,
      bitrate, stored_at, refused_code, refused_detail, tries, next_at)
    select n.id, n.generation_id, n.role, n.index, n.state, n.settled, n.attempt_id, n.provider_result_id, n.source_url,
      n.staged_key, n.preview_url, n.title, n.tags, n.lyrics, n.provider_duration_ms,
      case when n.state = 'known' then reprise.now() end, n.blob_key, n.sha256, n.bytes, n.mime, n.duration_ms,
      n.bitrate, case when n.state = 'stored' then reprise.now() end, n.refused_code, n.refused_detail, n.tries, reprise.at(n.next_at)
    from jsonb_to_recordset(p_results) as n (id uuid, generation_id uuid, role text, index int, state text, settled text,
      attempt_id uuid, provider_result_id text, source_url text, staged_key text, preview_url text, title text, tags text,
      lyrics text, provider_duration_ms int, blob_key text, sha256 text, bytes bigint, mime text, duration_ms int, bitrate int,
      refused_code text, refused_detail text, tries int, next_at double precision)
    on conflict (id) do update set state = excluded.state, settled = excluded.settled, attempt_id = excluded.attempt_id,
      provider_result_id = excluded.provider_result_id, source_url = excluded.source_url, staged_key = excluded.staged_key,
      preview_url = excluded.preview_url, title = excluded.title, tags = excluded.tags, lyrics = excluded.lyrics,
      provider_duration_ms = excluded.provider_duration_ms, known_at = coalesce(r.known_at, excluded.known_at),
      blob_key = excluded.blob_key, sha256 = excluded.sha256, bytes = excluded.bytes, mime = excluded.mime,
      duration_ms = excluded.duration_ms, bitrate = excluded.bitrate, stored_at = coalesce(r.stored_at, excluded.stored_at),
      refused_code = excluded.refused_code, refused_detail = excluded.refused_detail, tries = excluded.tries, next_at = excluded.next_at,
      -- a result that has ended, or waits for its next try, is nobody's any more
      lease_until = case when excluded.next_at is null or excluded.tries <> r.tries then null else r.lease_until end;
  end if;

  if p_events <> '[]' then
    insert into reprise.events (generation_id, user_id, at, type, state, attempt, cause, data)
    select n.generation_id, n.user_id, reprise.at(n.at), n.type, n.state, n.attempt, n.cause, n.data
    from jsonb_to_recordset(p_events) as n (generation_id uuid, user_id uuid, at double precision, type text, state text,
      attempt int, cause text, data jsonb);
  end if;

  if p_outbox <> '[]' then
    insert into reprise.outbox (topic, payload, next_at)
    select n.topic, n.payload, reprise.now() from jsonb_to_recordset(p_outbox) as n (topic text, payload jsonb);
  end if;
end $$;
