-- How a notice of this kind is marked for front ends that know only this.
create or replace function reprise.notice_type(p_kind text) returns text language sql immutable as $$
  select case p_kind when 'done' then 'success' when 'failed' then 'error' when 'started' then 'info' else 'warning' end
$$;

-- Every word that notices are made of. `{…}` is filled from what the notice is about; the kind is what users switch.
create or replace function reprise.sayings() returns table (occasion text, kind text, language text, title text, message text) language sql immutable as $$
  values
    ('started', 'started', 'ru', 'Началось', '«{name}»: уже создаётся.'),
    ('started', 'started', 'en', 'Under way', '“{name}” is being made.'),
    ('started', 'started', 'fr', 'En cours', '« {name} » est en préparation.'),
    ('done', 'done', 'ru', 'Готово', '«{name}»: всё сохранено.'),
    ('done', 'done', 'en', 'Ready', '“{name}” is saved and yours.'),
    ('done', 'done', 'fr', 'Prêt', '« {name} » est enregistré et à vous.'),
    ('partly_done', 'partly_done', 'ru', 'Готово частично', '«{name}»: сохранено не всё, не хватает: {missing}.'),
    ('partly_done', 'partly_done', 'en', 'Partly ready', '“{name}” is saved, but not all of it; missing: {missing}.'),
    ('partly_done', 'partly_done', 'fr', 'Prêt en partie', '« {name} » est enregistré, mais pas en entier ; il manque : {missing}.'),
    ('failed', 'failed', 'ru', 'Не получилось', '«{name}»: {reason}.'),
    ('failed', 'failed', 'en', 'It did not work', '“{name}”: {reason}.'),
    ('failed', 'failed', 'fr', 'Cela n’a pas marché', '« {name} » : {reason}.'),
    ('late', 'done', 'ru', 'Всё-таки пришло', '«{name}»: результат пришёл с опозданием и сохранён.'),
    ('late', 'done', 'en', 'It came after all', '“{name}” arrived late and is saved.'),
    ('late', 'done', 'fr', 'Arrivé malgré tout', '« {name} » est arrivé en retard et il est enregistré.'),

    ('pictures_started', 'started', 'ru', 'Началось', '«{name}»: картинки уже создаются.'),
    ('pictures_started', 'started', 'en', 'Under way', 'The pictures of “{name}” are being made.'),
    ('pictures_started', 'started', 'fr', 'En cours', 'Les images de « {name} » sont en préparation.'),
    ('pictures_done', 'done', 'ru', 'Готово', '«{name}»: все картинки сохранены ({all}).'),
    ('pictures_done', 'done', 'en', 'Ready', 'All pictures of “{name}” are saved ({all}).'),
    ('pictures_done', 'done', 'fr', 'Prêt', 'Toutes les images de « {name} » sont enregistrées ({all}).'),
    ('pictures_partly_done', 'partly_done', 'ru', 'Готово частично', '«{name}»: готово {kept} из {all}, остальное не удалось создать.'),
    ('pictures_partly_done', 'partly_done', 'en', 'Partly ready', '“{name}”: {kept} of {all} are ready, the others could not be made.'),
    ('pictures_partly_done', 'partly_done', 'fr', 'Prêt en partie', '« {name} » : {kept} sur {all} sont prêts, les autres n’ont pas pu être créés.'),
    ('not_made', 'failed', 'ru', 'Не получилось', '«{name}»: создать не удалось.'),
    ('not_made', 'failed', 'en', 'It did not work', '“{name}”: it could not be made.'),
    ('not_made', 'failed', 'fr', 'Cela n’a pas marché', '« {name} » : la création a échoué.'),

    ('balance_low', 'balance_low', 'ru', 'Токены заканчиваются', 'Осталось токенов: {left}. Пополните баланс, чтобы продолжать.'),
    ('balance_low', 'balance_low', 'en', 'Few tokens left', 'Tokens left: {left}. Top up to go on.'),
    ('balance_low', 'balance_low', 'fr', 'Il reste peu de jetons', 'Jetons restants : {left}. Rechargez pour continuer.'),
    -- seed 002's words
    ('archive_failed', 'archive_failed', 'ru', 'Не удалось архивировать трек', 'Трек "{name}" не был сохранен. Он может стать недоступен.'),
    ('archive_failed', 'archive_failed', 'en', 'A track could not be archived', 'The track “{name}” has not been saved. It may become unavailable.'),
    ('archive_failed', 'archive_failed', 'fr', 'Un titre n’a pas pu être archivé', 'Le titre « {name} » n’a pas été enregistré. Il risque de ne plus être disponible.'),
    ('file_lost', 'archive_failed', 'ru', 'Файл потерян', '{what} «{name}»: файла больше нет в хранилище, и восстановить его у провайдера не удалось.'),
    ('file_lost', 'archive_failed', 'en', 'A file is lost', '{what} “{name}”: the file is no longer in the store, and the provider could not give it again.'),
    ('file_lost', 'archive_failed', 'fr', 'Un fichier est perdu', '{what} « {name} » : le fichier n’est plus dans le stockage, et le fournisseur n’a pas pu le redonner.'),
    ('file_damaged', 'archive_failed', 'ru', 'Файл повреждён', '{what} «{name}»: файл не читается без ошибок, и восстановить его у провайдера не удалось.'),
    ('file_damaged', 'archive_failed', 'en', 'A file is damaged', '{what} “{name}”: the file cannot be read without errors, and the provider could not give it again.'),
    ('file_damaged', 'archive_failed', 'fr', 'Un fichier est abîmé', '{what} « {name} » : le fichier ne se lit plus sans erreur, et le fournisseur n’a pas pu le redonner.')
$$;

-- What a thing without a name is called, and how refunds are told.
create or replace function reprise.notice_word(p_word text, p_language text) returns text language sql immutable as $$
  select case p_word
    when 'untitled' then case p_language when 'en' then 'Untitled' when 'fr' then 'Sans titre' else 'Без названия' end
    when 'refund' then case p_language when 'en' then ' Tokens returned: ' when 'fr' then ' Jetons rendus : ' else ' Возвращено токенов: ' end
  end
$$;

-- A saying with its places filled in, in one go: a name that looks like a place stays a name. A value may be an object
-- with a text for each language.
create or replace function reprise.fill_saying(p_saying text, p_about jsonb, p_language text) returns text language sql immutable as $$
  select string_agg(coalesce(case jsonb_typeof(p_about -> v.place) when 'object' then p_about -> v.place ->> p_language else p_about ->> v.place end, m.part[1]), '' order by m.n)
  from regexp_matches(p_saying, '\{\w+\}|[^{]+|\{', 'g') with ordinality m(part, n)
  cross join lateral (select case when m.part[1] ~ '^\{\w+\}$' then btrim(m.part[1], '{}') end as place) v
$$;

-- Tells users what they want to be told, each in their language (Russian, as the seed's notice is, when we do not know
-- it), each key once. To be called in the transaction of what is told, after the tokens are settled.
-- p: [{"userId", "occasion", "key" (null: every time), "link", "about": {"name", "refund" (tokens), …},
-- "generationId" (its refund is looked up)}]. Answers how many were written.
create or replace function reprise.notify_all(p jsonb) returns int language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$ -- see 10-records.sql
declare
  v_written int;
  v_unknown text := (select n ->> 'occasion' from jsonb_array_elements(p) n where not exists (select from reprise.sayings() y where y.occasion = n ->> 'occasion') limit 1);
begin
  if v_unknown is not null then raise exception 'nobody knows how to tell of %', v_unknown; end if;
  insert into ${COMPAT_SCHEMA}.notifications (user_id, type, kind, key, title, message, link)
  select n."userId", reprise.notice_type(y.kind), y.kind, n.key, y.title,
    reprise.fill_saying(y.message, n.about || jsonb_build_object('name', x.name), y.language)
      || case when y.kind in ('partly_done', 'failed') and x.refund > 0 then reprise.notice_word('refund', y.language) || x.refund || '.' else '' end,
    n.link
  from jsonb_to_recordset(p) as n ("userId" uuid, occasion text, key text, link text, "generationId" uuid, about jsonb)
  left join reprise.notice_settings s on s.user_id = n."userId"
  join reprise.sayings() y on y.occasion = n.occasion and y.language = coalesce(s.language, 'ru')
  cross join lateral (select coalesce(nullif(btrim(regexp_replace(n.about ->> 'name', '\s+', ' ', 'g')), ''), reprise.notice_word('untitled', y.language)) as whole,
    case when n."generationId" is null then (n.about ->> 'refund')::bigint else (
      select sum(h.amount) from reprise.hold_items h where h.generation_id = n."generationId" and h.state = 'released') end as refund) w
  cross join lateral (select case when length(w.whole) > 60 then rtrim(left(w.whole, 59)) || '…' else w.whole end as name, w.refund) x
  where y.kind <> all (coalesce(s.off, '{started}'))
  order by n."userId", n.key
  on conflict (user_id, key) where key is not null do nothing;
  get diagnostics v_written = row_count;
  return v_written;
end $$;
drop function if exists reprise.notify(uuid, text, text, text, text, text);

-- Notices take their place among the live events, whoever writes them: read in that order none is skipped.
create or replace function reprise.place_notice() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
begin
  new.live_xid := pg_current_xact_id();
  new.live_id := nextval('reprise.events_id_seq');
  return new;
end $$;
drop trigger if exists place_notice on ${COMPAT_SCHEMA}.notifications;
create trigger place_notice before insert on ${COMPAT_SCHEMA}.notifications for each row execute function reprise.place_notice();

-- Few tokens are left: told when they are spent (what is only set aside may come back), once until there are more again.
create or replace function reprise.tell_balance_low() returns trigger language plpgsql as $$
begin
  if new.available + new.held > old.available + old.held or new.low_at <> old.low_at then
    new.low_told := false;
  elsif new.available + new.held < new.low_at and not new.low_told then
    perform reprise.notify_all(jsonb_build_array(jsonb_build_object('userId', new.user_id, 'occasion', 'balance_low', 'link', '/wallet', 'about', jsonb_build_object('left', new.available))));
    new.low_told := true;
  end if;
  return new;
end $$;
drop trigger if exists balance_low on reprise.wallets;
create trigger balance_low before update on reprise.wallets for each row
  when (old.available + old.held <> new.available + new.held or old.low_at <> new.low_at) execute function reprise.tell_balance_low();
