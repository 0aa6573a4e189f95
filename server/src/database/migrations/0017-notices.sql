-- What a user wants to be told of. Without a row: everything but what has begun.
create table reprise.notice_settings (
  user_id uuid primary key,
  -- kinds that this user does not want
  off text[] not null default '{started}',
  -- in which language notices are written; unknown: Russian, as the seed's notice is
  language text check (language in ('en', 'ru', 'fr')),
  updated_at timestamptz not null default reprise.now()
);

alter table ${COMPAT_SCHEMA}.notifications
  -- started, done, partly_done, failed, archive_failed, balance_low; null: somebody else's
  add column kind text,
  -- the same notice is written once
  add column key text,
  -- its place among the live events: the order in which streams read
  add column live_xid xid8,
  add column live_id bigint;
create unique index notifications_once on ${COMPAT_SCHEMA}.notifications (user_id, key) where key is not null;
create index notifications_unread on ${COMPAT_SCHEMA}.notifications (user_id) where read_at is null;
create index notifications_live on ${COMPAT_SCHEMA}.notifications (live_xid, live_id);

-- Whoever has fewer tokens than this is told when some are spent, once until there are more again. 0: never.
alter table reprise.wallets
  add column low_at bigint not null default 20 check (low_at >= 0),
  add column low_told boolean not null default false;

-- Every change of a price: who, when, from what to what. Null: there was none, or there is none any more.
create table reprise.price_changes (
  id bigint generated always as identity primary key,
  kind text not null,
  provider text not null,
  model text not null,
  before bigint,
  after bigint,
  actor text not null,
  at timestamptz not null default reprise.now()
);

-- What the daily look at the promises about tokens found.
create table reprise.ledger_checks (
  id bigint generated always as identity primary key,
  at timestamptz not null default reprise.now(),
  found int not null,
  -- the first hundred: [{promise, userId, generationId}]
  violations jsonb not null default '[]'
);

-- For the explorer: transfers are written in the order of time, so a small index is enough.
create index ledger_time on reprise.ledger_transfers using brin (at);
create index ledger_by_hand on reprise.ledger_transfers (kind, id desc) where kind in ('signup', 'grant', 'adjustment');
