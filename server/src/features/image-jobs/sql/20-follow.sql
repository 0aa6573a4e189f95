-- Why a model refused, by the names that Google has for it: nothing else of a provider's words is shown to users.
create or replace function reprise.refusal_of(p_code text, p_detail text) returns text language sql immutable as $$
  select case when p_code = 'content_policy' then
    substring(p_detail from '\y(?:IMAGE_PROHIBITED_CONTENT|PROHIBITED_CONTENT|IMAGE_SAFETY|SAFETY|BLOCKLIST|IMAGE_RECITATION|RECITATION|SPII|LANGUAGE)\y') end
$$;

-- Keeps cards and jobs as the records of their generations are; called in the transaction of every move.
-- p_stored: [{"generationId", "imageUrl", "storagePath"}] of pictures that this move stored, also late ones.
-- A card that ended keeps its status, as its generation does; a late picture only fills in where it lies.
-- Jobs are locked first, in the order of their ids, so that two batches never wait for each other in a circle.
create or replace function reprise.follow_image_cards(p_ids uuid[], p_stored jsonb) returns void language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare
  v_jobs uuid[];
  v_job uuid;
begin
  -- What was paid elsewhere may have to be given back below: wallets come before jobs, as where tokens are settled.
  perform from reprise.wallets w
    where w.user_id = any (array(select g.user_id from reprise.generations g where g.id = any (p_ids) and g.cost = 0 and g.finished_at is not null)) order by w.user_id for update;
  v_jobs := array(select distinct t.job_id from ${COMPAT_SCHEMA}.generation_tasks t where t.generation_id = any (p_ids));
  perform from ${COMPAT_SCHEMA}.generation_jobs j where j.id = any (v_jobs) order by j.id for no key update;

  update ${COMPAT_SCHEMA}.generation_tasks t set
    status = n.status, retry_count = n.retry_count, retry_after = n.retry_after,
    last_error = coalesce(coalesce((select l.label from reprise.error_labels l where l.code = n.error_code), n.error_code) || coalesce(': ' || reprise.refusal_of(n.error_code, n.error_detail), ''), t.last_error),
    image_url = coalesce(s."imageUrl", t.image_url), storage_path = coalesce(s."storagePath", t.storage_path),
    started_at = case when n.status <> 'pending' then coalesce(t.started_at, reprise.now()) end,
    completed_at = case when n.status in ('completed', 'failed') then coalesce(t.completed_at, reprise.now()) end,
    updated_at = reprise.now()
  from (
    select g.id, a.retry_count, coalesce(g.error_code, a.error_code) as error_code,
      case when g.error_code is null then a.error_detail else g.error_detail end as error_detail,
      case
        -- who closed it (a sweep, the team's own app) has the last word
        when c.status in ('completed', 'failed') then c.status
        when g.state = 'complete' then 'completed'
        -- what arrives after a cancellation is kept and paid, until the deadline: only then has the card ended
        when g.state = 'cancelled' and a.unsettled then 'processing'
        when g.state = 'cancelled' and a.kept then 'completed'
        when g.finished_at is not null then 'failed'
        when g.state = 'queued' then 'pending'
        when g.dispatch_at is not null and a.retry_count > 0 then 'retrying'
        else 'processing' end as status,
      case when g.finished_at is null and a.retry_count > 0 then g.dispatch_at end as retry_after
    from unnest(p_ids) i
    join reprise.generations g on g.id = i
    join ${COMPAT_SCHEMA}.generation_tasks c on c.generation_id = g.id
    cross join lateral (
      select
        -- of an attempt that ended the card nothing was tried again
        count(*) filter (where a.state = 'rejected' and not (g.finished_at is not null and a.number = (select max(l.number) from reprise.attempts l where l.generation_id = g.id)))::int as retry_count,
        (select bool_or(r.settled is null) from reprise.results r where r.generation_id = g.id and r.role = 'final') as unsettled,
        (select bool_or(r.settled = 'kept') from reprise.results r where r.generation_id = g.id and r.role = 'final') as kept,
        (array_agg(a.error_code order by a.number desc) filter (where a.error_code is not null))[1] as error_code,
        (array_agg(a.error_detail order by a.number desc) filter (where a.error_code is not null))[1] as error_detail
      from reprise.attempts a where a.generation_id = g.id
    ) a
  ) n
  left join jsonb_to_recordset(p_stored) as s ("generationId" uuid, "imageUrl" text, "storagePath" text) on s."generationId" = n.id
  where t.generation_id = n.id;

  foreach v_job in array v_jobs loop
    perform reprise.refresh_image_job(v_job);
  end loop;
end $$;

-- A job as its cards are. One that ended stays as it ended. Cards that a job from outside was to have and that never got
-- a row are missing in it like those that failed.
create or replace function reprise.refresh_image_job(p_job uuid) returns void language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare
  v_all int;
  v_done int;
  v_failed int;
  v_begun int;
  v_status text;
  v_note text;
begin
  select count(*), count(*) filter (where t.status = 'completed'), count(*) filter (where t.status = 'failed'), count(*) filter (where t.status <> 'pending')
    into v_all, v_done, v_failed, v_begun from ${COMPAT_SCHEMA}.generation_tasks t where t.job_id = p_job;
  if v_all = 0 then return; end if;
  v_status := case when v_done + v_failed < v_all then case when v_begun > 0 then 'processing' end when v_done > 0 then 'completed' else 'failed' end;
  v_note := case when v_status in ('completed', 'failed') then reprise.failed_cards_note(p_job) end;
  update ${COMPAT_SCHEMA}.generation_jobs j set
    status = coalesce(v_status, j.status), completed_cards = v_done,
    started_at = case when v_begun > 0 then coalesce(j.started_at, reprise.now()) else j.started_at end,
    completed_at = case when v_status in ('completed', 'failed') then reprise.now() end,
    error_message = coalesce(v_note, j.error_message),
    updated_at = reprise.now()
  where j.id = p_job and j.status in ('pending', 'processing')
    and (coalesce(v_status, j.status), v_done) is distinct from (j.status, j.completed_cards);
  -- Of a job that was paid elsewhere, also one that the team's app has ended meanwhile; once, whoever else gives it back.
  -- Nothing of ours, whose cards are settled each by itself.
  if v_note is not null then perform reprise.refund_outside_job(p_job); end if;
end $$;

-- What became of the cards that are not there, in the seed's functions' language; null when all are.
create or replace function reprise.failed_cards_note(p_job uuid) returns text language sql stable as $$
  with missing as (
    select coalesce(t.last_error, 'unknown') as reason, count(*) as cards from ${COMPAT_SCHEMA}.generation_tasks t
      where t.job_id = p_job and t.status = 'failed' group by 1
    union all
    select 'never begun', j.total_cards - count(t.id) from ${COMPAT_SCHEMA}.generation_jobs j left join ${COMPAT_SCHEMA}.generation_tasks t on t.job_id = j.id
      where j.id = p_job group by j.id having j.total_cards > count(t.id)
  )
  select sum(m.cards) || ' of ' || (select greatest(j.total_cards, count(t.id)) from ${COMPAT_SCHEMA}.generation_jobs j join ${COMPAT_SCHEMA}.generation_tasks t on t.job_id = j.id where j.id = p_job group by j.id)
    || ' cards failed, their tokens were returned: ' || string_agg(m.reason || case when m.cards > 1 then ' (' || m.cards || ')' else '' end, '; ' order by m.cards desc, m.reason)
  from missing m
$$;
