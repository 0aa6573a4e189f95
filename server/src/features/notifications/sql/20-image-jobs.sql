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
  v_name text := coalesce(nullif(left(btrim(new.product_name), 60), ''), '…');
begin
  select count(t.generation_id), count(*) filter (where t.status = 'completed'), count(*) into v_ours, v_done, v_all
    from ${COMPAT_SCHEMA}.generation_tasks t where t.job_id = new.id;
  if v_ours = 0 then return null; end if;
  if new.status in ('completed', 'failed') and v_done < v_all then
    select (select coalesce(sum(h.amount), 0) from ${COMPAT_SCHEMA}.generation_tasks t join reprise.hold_items h on h.generation_id = t.generation_id and h.state = 'released' where t.job_id = new.id)
      + (select coalesce(sum(l.amount), 0) from reprise.ledger_transfers l where l.actor = 'reprise' and l.request_key = 'refund generation_jobs/' || new.id)
      into v_refund;
    perform reprise.tell_closed_job(new.user_id, new.id, '/images/' || new.id, new.product_name, v_done::int, v_all::int, v_refund);
  else
    perform reprise.notify_all(jsonb_build_array(jsonb_build_object('userId', new.user_id, 'link', '/images/' || new.id) || case when new.status = 'processing'
      then jsonb_build_object('kind', 'started', 'key', 'job-started:' || new.id, 'texts', jsonb_build_object(
        'ru', jsonb_build_object('title', 'Началось', 'message', '«' || v_name || '»: картинки уже создаются.'),
        'en', jsonb_build_object('title', 'Under way', 'message', 'The pictures of “' || v_name || '” are being made.'),
        'fr', jsonb_build_object('title', 'En cours', 'message', 'Les images de « ' || v_name || ' » sont en préparation.')))
      else jsonb_build_object('kind', 'done', 'key', 'job-ended:' || new.id, 'texts', jsonb_build_object(
        'ru', jsonb_build_object('title', 'Готово', 'message', '«' || v_name || '»: все картинки сохранены (' || v_done || ').'),
        'en', jsonb_build_object('title', 'Ready', 'message', 'All pictures of “' || v_name || '” are saved (' || v_done || ').'),
        'fr', jsonb_build_object('title', 'Prêt', 'message', 'Toutes les images de « ' || v_name || ' » sont enregistrées (' || v_done || ').'))) end));
  end if;
  return null;
end $$;
drop trigger if exists tell_image_job on ${COMPAT_SCHEMA}.generation_jobs;
create constraint trigger tell_image_job after update on ${COMPAT_SCHEMA}.generation_jobs deferrable initially deferred for each row
  when (old.status is distinct from new.status and new.status in ('processing', 'completed', 'failed')) execute function reprise.tell_image_job();
