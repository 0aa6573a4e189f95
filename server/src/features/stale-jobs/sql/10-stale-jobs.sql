-- Has the engine a card of this job in hand? What is cancelled may still arrive, until its deadline.
create or replace function reprise.engine_has_cards(p_job uuid) returns boolean language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$ -- see 10-records.sql
begin
  return exists (select from ${COMPAT_SCHEMA}.generation_tasks t join reprise.generations g on g.id = t.generation_id
    where t.job_id = p_job and (g.finished_at is null or g.state = 'cancelled'
      and exists (select from reprise.results r where r.generation_id = g.id and r.role = 'final' and r.settled is null)));
end $$;

-- Every job that has something open and that neither the engine nor the archive holds, in every table of jobs, by the
-- time that is never null. A new table of jobs is a branch here and one in close_stale_job.
create or replace view reprise.stale_jobs as
  select 'generation_jobs' as job_table, j.id, j.user_id, coalesce(j.started_at, j.created_at) as since, j.started_at is null as never_started
  from ${COMPAT_SCHEMA}.generation_jobs j where j.status in ('pending', 'processing') and not reprise.engine_has_cards(j.id)
  union all
  -- Whoever ended it left cards behind.
  select 'generation_jobs', j.id, j.user_id, greatest(coalesce(j.started_at, j.created_at), j.completed_at), j.started_at is null
  from (select distinct t.job_id from ${COMPAT_SCHEMA}.generation_tasks t where t.status in ('pending', 'processing', 'retrying')) o
  join ${COMPAT_SCHEMA}.generation_jobs j on j.id = o.job_id where j.status in ('completed', 'failed') and not reprise.engine_has_cards(j.id)
  union all
  select 'ai_generations', a.id, a.user_id, a.created_at, false
  from ${COMPAT_SCHEMA}.ai_generations a where a.status in ('pending', 'processing')
    and not exists (select from reprise.generations g where g.id = a.id and g.finished_at is null)
  union all
  select 'track_archiving_jobs', t.id, t.user_id, coalesce(t.started_at, t.created_at), t.started_at is null
  from ${COMPAT_SCHEMA}.track_archiving_jobs t where t.status in ('pending', 'processing')
    and not exists (select from reprise.archivals a where a.track_id = t.track_id);

-- A card's part of what its job cost: as equal as whole tokens allow, the first cards by one more, so that all parts
-- together are the cost.
create or replace function reprise.card_share(p_cost bigint, p_cards bigint, p_place bigint) returns bigint language sql immutable as $$
  select p_cost / p_cards + case when p_place < p_cost % p_cards then 1 else 0 end
$$;

-- Gives tokens back that were paid outside our ledger: once per job, whoever asks and however often.
create or replace function reprise.credit_job_once(p_table text, p_job uuid, p_user uuid, p_amount bigint, p_reason text) returns bigint language plpgsql as $$
begin
  if p_amount <= 0 then return 0; end if;
  perform reprise.open_wallet(p_user);
  insert into reprise.ledger_transfers (user_id, kind, from_account, to_account, amount, reason, actor, request_key)
  values (p_user, 'grant', 'grants', 'available', p_amount, 'refund: ' || p_reason, 'reprise', 'refund ' || p_table || '/' || p_job)
  on conflict (actor, request_key) where request_key is not null do nothing;
  return case when found then p_amount else 0 end;
end $$;

-- Gives back the parts of these cards, and of those that never got a row; nothing when our ledger held the job's tokens:
-- then the engine settles each card. The caller has the job locked.
create or replace function reprise.refund_cards(p_job uuid, p_cards uuid[]) returns bigint language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare
  v_job ${COMPAT_SCHEMA}.generation_jobs;
  v_rows bigint;
  v_all bigint;
  v_amount bigint;
begin
  select * into v_job from ${COMPAT_SCHEMA}.generation_jobs where id = p_job;
  if exists (select from ${COMPAT_SCHEMA}.generation_tasks t join reprise.hold_items h on h.generation_id = t.generation_id and h.amount > 0 where t.job_id = p_job) then
    return 0;
  end if;
  select count(*) into v_rows from ${COMPAT_SCHEMA}.generation_tasks t where t.job_id = p_job;
  v_all := greatest(v_rows, v_job.total_cards, 1);
  select coalesce(sum(reprise.card_share(v_job.tokens_cost, v_all, p.place)), 0) into v_amount from (
    select row_number() over (order by t.card_index) - 1 as place, t.id from ${COMPAT_SCHEMA}.generation_tasks t where t.job_id = p_job
    union all select n, null from generate_series(v_rows, v_all - 1) n
  ) p where p.id is null or p.id = any (p_cards);
  return reprise.credit_job_once('generation_jobs', p_job, v_job.user_id, v_amount, 'cards of job ' || p_job || ' that were not made');
end $$;

-- The same for a job from outside that the engine has brought to its end; in the transaction that ends it.
create or replace function reprise.refund_outside_job(p_job uuid) returns bigint language sql as $$
  select reprise.refund_cards(p_job, array(select t.id from ${COMPAT_SCHEMA}.generation_tasks t where t.job_id = p_job and t.generation_id is not null and t.status = 'failed'))
$$;

-- Decides about one job in one transaction. `closed` is the status that it has then; null when it was left alone: nothing
-- of it is open, it is too young, the engine or the archive has it (an open generation is armed: a constraint sees to it),
-- or somebody writes it at this moment. Wallets come before jobs and jobs before cards, as everywhere; of these only a
-- wallet is waited for.
create or replace function reprise.close_stale_job(p_table text, p_id uuid, p_minutes int,
  out closed text, out kept int, out unfinished int, out refunded bigint) language plpgsql as $$
declare
  v_before timestamptz := reprise.now() - p_minutes * interval '1 minute';
begin
  kept := 0; unfinished := 0; refunded := 0;
  case p_table
    when 'generation_jobs' then select * into closed, kept, unfinished, refunded from reprise.close_image_job(p_id, v_before);
    when 'ai_generations' then select * into closed, kept, unfinished, refunded from reprise.close_ai_generation(p_id, v_before);
    when 'track_archiving_jobs' then select * into closed, kept, unfinished from reprise.close_archiving_job(p_id, v_before);
  end case;
end $$;

-- One that had ended keeps its status: only the cards that it left behind are ended.
create or replace function reprise.close_image_job(p_id uuid, p_before timestamptz,
  out closed text, out kept int, out unfinished int, out refunded bigint) language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare
  v_job ${COMPAT_SCHEMA}.generation_jobs;
  v_had_ended boolean;
  v_open int;
  v_locked int;
  v_failed uuid[];
  v_rows int;
  v_all int;
begin
  kept := 0; unfinished := 0; refunded := 0;
  perform from reprise.wallets w where w.user_id = (select j.user_id from ${COMPAT_SCHEMA}.generation_jobs j where j.id = p_id) for update;
  select * into v_job from ${COMPAT_SCHEMA}.generation_jobs j
    where j.id = p_id and coalesce(j.started_at, j.created_at) < p_before for no key update skip locked;
  v_had_ended := v_job.status in ('completed', 'failed');
  if not found or v_had_ended and v_job.completed_at >= p_before then return; end if;
  -- It may have been started before it was ours.
  if reprise.engine_has_cards(p_id) then return; end if;
  select count(*) into v_open from ${COMPAT_SCHEMA}.generation_tasks t where t.job_id = p_id and t.status in ('pending', 'processing', 'retrying');
  select count(*) into v_locked from (select from ${COMPAT_SCHEMA}.generation_tasks t
    where t.job_id = p_id and t.status in ('pending', 'processing', 'retrying') order by t.card_index for no key update skip locked) mine;
  if v_locked < v_open or v_had_ended and v_open = 0 then return; end if;

  update ${COMPAT_SCHEMA}.generation_tasks t set status = 'completed', completed_at = coalesce(t.completed_at, reprise.now()), updated_at = reprise.now()
  from reprise.generations g
  where t.job_id = p_id and t.status in ('pending', 'processing', 'retrying') and g.id = t.generation_id and g.state = 'complete';
  with ended as (
    update ${COMPAT_SCHEMA}.generation_tasks t set status = 'failed', last_error = coalesce(t.last_error, 'Nobody worked on it any more'), retry_after = null,
      completed_at = reprise.now(), updated_at = reprise.now()
    where t.job_id = p_id and t.status in ('pending', 'processing', 'retrying') returning t.id
  ) select coalesce(array_agg(e.id), '{}') into v_failed from ended e;

  select count(*) filter (where t.status = 'completed'), count(*) into kept, v_rows from ${COMPAT_SCHEMA}.generation_tasks t where t.job_id = p_id;
  v_all := greatest(v_rows, v_job.total_cards);
  unfinished := cardinality(v_failed) + v_all - v_rows;
  refunded := reprise.refund_cards(p_id,
    v_failed || array(select t.id from ${COMPAT_SCHEMA}.generation_tasks t where t.job_id = p_id and t.generation_id is not null and t.status = 'failed' and t.id <> all (v_failed)));
  closed := case when v_had_ended then v_job.status when kept > 0 then 'completed' else 'failed' end;
  update ${COMPAT_SCHEMA}.generation_jobs j set status = closed, completed_cards = kept, updated_at = reprise.now(),
    completed_at = case when v_had_ended then coalesce(j.completed_at, reprise.now()) else reprise.now() end,
    error_message = case when v_had_ended and j.error_message is not null then j.error_message when kept < v_all then
      v_all - kept || ' of ' || v_all || ' cards failed: nobody worked on them any more' || case when refunded > 0 then ', ' || refunded || ' tokens were returned' else '' end end
  where j.id = p_id;

  perform reprise.tell_ended_job(v_job.user_id, p_id, '/images/' || p_id, v_job.product_name, kept, v_all, refunded);
end $$;

-- A song. Of ours the engine's word is written down once more; the team's own is kept when it names a file.
create or replace function reprise.close_ai_generation(p_id uuid, p_before timestamptz,
  out closed text, out kept int, out unfinished int, out refunded bigint) language plpgsql as $$
declare
  v_row ${COMPAT_SCHEMA}.ai_generations;
  v_own reprise.generations;
begin
  kept := 0; unfinished := 0; refunded := 0;
  select * into v_own from reprise.generations where id = p_id;
  if v_own.id is not null and v_own.finished_at is null then return; end if;
  perform from reprise.wallets w where w.user_id = (select a.user_id from ${COMPAT_SCHEMA}.ai_generations a where a.id = p_id) for update;
  select * into v_row from ${COMPAT_SCHEMA}.ai_generations a
    where a.id = p_id and a.status in ('pending', 'processing') and a.created_at < p_before for no key update skip locked;
  if not found then return; end if;
  if v_own.id is not null then
    perform reprise.refresh_ai_generation(p_id);
    select a.status into closed from ${COMPAT_SCHEMA}.ai_generations a where a.id = p_id;
    return;
  end if;
  select count(*) into kept from reprise.results_of(p_id);
  closed := case when kept > 0 then 'completed' else 'failed' end;
  if kept = 0 then
    unfinished := 1;
    if v_row.metadata ->> 'tokens_cost' ~ '^[0-9]{1,9}$' then
      refunded := reprise.credit_job_once('ai_generations', p_id, v_row.user_id, (v_row.metadata ->> 'tokens_cost')::bigint, 'generation ' || p_id || ' that was not made');
    end if;
  end if;
  update ${COMPAT_SCHEMA}.ai_generations a set status = closed, updated_at = reprise.now(),
    error_message = case when closed = 'failed' then coalesce(a.error_message, 'Nobody worked on it any more') else a.error_message end where a.id = p_id;
  perform reprise.notify_all(jsonb_build_array(jsonb_build_object('userId', v_row.user_id, 'key', 'job-ended:' || p_id,
    'occasion', case closed when 'completed' then 'done' else 'not_made' end, 'link', case closed when 'completed' then '/library' end,
    'about', jsonb_build_object('name', coalesce(v_row.metadata ->> 'title', v_row.prompt), 'refund', refunded))));
end $$;

-- An attempt to archive: whoever has a place in the archive's queue is looked after there. A waiting one that has none
-- gets it back.
create or replace function reprise.close_archiving_job(p_id uuid, p_before timestamptz, out closed text, out kept int, out unfinished int) language plpgsql as $$
declare
  v_job ${COMPAT_SCHEMA}.track_archiving_jobs;
  v_track ${COMPAT_SCHEMA}.tracks;
begin
  kept := 0; unfinished := 0;
  select * into v_job from ${COMPAT_SCHEMA}.track_archiving_jobs j
    where j.id = p_id and j.status in ('pending', 'processing') and coalesce(j.started_at, j.created_at) < p_before
      and not exists (select from reprise.archivals a where a.track_id = j.track_id) for no key update skip locked;
  if not found then return; end if;
  select * into v_track from ${COMPAT_SCHEMA}.tracks t where t.id = v_job.track_id;
  if not v_track.archived_to_storage and v_track.deleted_at is null and v_track.status = 'completed' and v_job.status = 'pending' then
    perform reprise.arm_archival(v_track.id, v_track.user_id, coalesce(v_track.expires_at, v_track.created_at + interval '15 days'), false);
    return;
  end if;
  closed := case when v_track.archived_to_storage then 'completed' else 'failed' end;
  if closed = 'completed' then kept := 1; else unfinished := 1; end if;
  update ${COMPAT_SCHEMA}.track_archiving_jobs j set status = closed, completed_at = reprise.now(), updated_at = now(),
    error_message = case when closed = 'failed' then coalesce(j.error_message, 'Nobody worked on it any more') else j.error_message end where j.id = p_id;
end $$;
