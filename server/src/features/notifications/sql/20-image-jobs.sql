-- Tells the owner of an image job that it has begun and how it ended: once, at the end of the transaction that moved it,
-- when everything that belongs to the move (cards, tokens, refunds) is written. Jobs of the team's own that Reprise has
-- no part in are theirs to tell of.
create or replace function reprise.tell_image_job() returns trigger language plpgsql security definer set search_path = pg_catalog
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  v_ours bigint;
  v_done bigint;
  v_all bigint;
  v_refund bigint;
begin
  select count(t.generation_id), count(*) filter (where t.status = 'completed'), greatest(count(*), new.total_cards) into v_ours, v_done, v_all
    from ${COMPAT_SCHEMA}.generation_tasks t where t.job_id = new.id;
  if v_ours = 0 then return null; end if;
  if new.status = 'processing' then
    perform reprise.notify_all(jsonb_build_array(jsonb_build_object('userId', new.user_id, 'occasion', 'pictures_started', 'key', 'job-started:' || new.id,
      'link', '/images/' || new.id, 'about', jsonb_build_object('name', new.product_name))));
    return null;
  end if;
  if v_done < v_all then
    select (select coalesce(sum(h.amount), 0) from ${COMPAT_SCHEMA}.generation_tasks t join reprise.hold_items h on h.generation_id = t.generation_id and h.state = 'released' where t.job_id = new.id)
      + (select coalesce(sum(l.amount), 0) from reprise.ledger_transfers l where l.actor = 'reprise' and l.request_key = 'refund generation_jobs/' || new.id)
      into v_refund;
  end if;
  perform reprise.tell_ended_job(new.user_id, new.id, '/images/' || new.id, new.product_name, v_done, v_all, v_refund);
  return null;
end $$;
drop trigger if exists tell_image_job on ${COMPAT_SCHEMA}.generation_jobs;
create constraint trigger tell_image_job after update on ${COMPAT_SCHEMA}.generation_jobs deferrable initially deferred for each row
  when (old.status is distinct from new.status and new.status in ('processing', 'completed', 'failed')) execute function reprise.tell_image_job();

-- How a job ended; told once, whoever else tells it.
create or replace function reprise.tell_ended_job(p_user uuid, p_job uuid, p_link text, p_name text, p_kept bigint, p_all bigint, p_refunded bigint) returns void language sql as $$
  select reprise.notify_all(jsonb_build_array(jsonb_build_object('userId', p_user, 'key', 'job-ended:' || p_job, 'link', p_link,
    'occasion', case when p_kept = p_all then 'pictures_done' when p_kept > 0 then 'pictures_partly_done' else 'not_made' end,
    'about', jsonb_build_object('name', p_name, 'kept', p_kept, 'all', p_all, 'refund', p_refunded))))
$$;
drop function if exists reprise.tell_closed_job(uuid, uuid, text, text, int, int, bigint);
