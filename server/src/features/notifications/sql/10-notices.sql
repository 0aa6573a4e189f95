-- How a notice of this kind is marked for front ends that know only this.
create or replace function reprise.notice_type(p_kind text) returns text language sql immutable as $$
  select case p_kind when 'done' then 'success' when 'failed' then 'error' when 'started' then 'info' else 'warning' end
$$;

-- Tells users what they want to be told, each in their language, each key once. To be called in the transaction of
-- what is told. p: [{"userId", "kind", "key" (null: every time), "link", "generationId" (null: none),
-- "texts": {"ru": {"title", "message"}, "en": …, "fr": …}}]; ru must be there and stands in for others.
-- `{refund}` in a message becomes the tokens that this generation got back. Answers how many were written.
create or replace function reprise.notify_all(p jsonb) returns int language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$ -- see 10-records.sql
declare
  v_written int;
begin
  insert into ${COMPAT_SCHEMA}.notifications (user_id, type, kind, key, title, message, link)
  select n."userId", reprise.notice_type(n.kind), n.kind, n.key, t.said ->> 'title',
    case when n."generationId" is null then t.said ->> 'message' else replace(t.said ->> 'message', '{refund}', (
      select coalesce(sum(h.amount), 0)::text from reprise.hold_items h where h.generation_id = n."generationId" and h.state = 'released')) end,
    n.link
  from jsonb_to_recordset(p) as n ("userId" uuid, kind text, key text, link text, "generationId" uuid, texts jsonb)
  left join reprise.notice_settings s on s.user_id = n."userId"
  cross join lateral (select coalesce(n.texts -> s.language, n.texts -> 'ru') as said) t
  where n.kind <> all (coalesce(s.off, '{started}'))
  order by n."userId", n.key
  on conflict (user_id, key) where key is not null do nothing;
  get diagnostics v_written = row_count;
  return v_written;
end $$;

-- One notice in words that are the same for everybody. Answers whether it was written.
create or replace function reprise.notify(p_user uuid, p_kind text, p_title text, p_message text, p_link text, p_key text) returns boolean language sql as $$
  select reprise.notify_all(jsonb_build_array(jsonb_build_object('userId', p_user, 'kind', p_kind, 'key', p_key, 'link', p_link,
    'texts', jsonb_build_object('ru', jsonb_build_object('title', p_title, 'message', p_message))))) = 1
$$;

-- Notices take their place among the live events, whoever writes them: read in that order none is skipped.
create or replace function reprise.place_notice() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
begin
  new.live_xid := pg_current_xact_id();
  new.live_id := nextval('reprise.events_id_seq');
  return new;
end $$;
drop trigger if exists place_notice on ${COMPAT_SCHEMA}.notifications;
create trigger place_notice before insert on ${COMPAT_SCHEMA}.notifications for each row execute function reprise.place_notice();

-- The tokens have fallen below the mark: told once for each time that they do, in the transaction that took them.
create or replace function reprise.tell_balance_low() returns trigger language plpgsql as $$
begin
  perform reprise.notify_all(jsonb_build_array(jsonb_build_object('userId', new.user_id, 'kind', 'balance_low', 'link', '/wallet', 'texts', jsonb_build_object(
    'ru', jsonb_build_object('title', 'Токены заканчиваются', 'message', format('Осталось токенов: %s. Пополните баланс, чтобы продолжать.', new.available)),
    'en', jsonb_build_object('title', 'Few tokens left', 'message', format('Tokens left: %s. Top up to go on.', new.available)),
    'fr', jsonb_build_object('title', 'Il reste peu de jetons', 'message', format('Jetons restants : %s. Rechargez pour continuer.', new.available))))));
  return null;
end $$;
drop trigger if exists balance_low on reprise.wallets;
create trigger balance_low after update on reprise.wallets for each row
  when (old.available >= old.low_at and new.available < new.low_at and old.low_at = new.low_at) execute function reprise.tell_balance_low();
