-- Tokens. Double entry in one row: every transfer names the account it leaves and the account it enters, so the sum
-- of all entries is zero by construction. A user has `available` and `held`; `grants` and `revenue` belong to the
-- house and have no balance row: nothing is shared that every request would update.
create table reprise.wallets (
  user_id uuid primary key,
  available bigint not null default 0 constraint available_not_negative check (available >= 0),
  held bigint not null default 0 constraint held_not_negative check (held >= 0)
) with (fillfactor = 50);

create table reprise.ledger_transfers (
  id bigint generated always as identity primary key,
  user_id uuid not null references reprise.wallets,
  kind text not null check (kind in ('signup', 'grant', 'hold', 'capture', 'release', 'adjustment')),
  from_account text not null,
  to_account text not null,
  amount bigint not null check (amount > 0),
  generation_id uuid,
  item_index int,
  reason text not null,
  actor text not null,
  -- the same grant asked twice is one grant
  request_key text,
  at timestamptz not null default reprise.now(),
  constraint known_route check ((kind, from_account, to_account) in (
    ('signup', 'grants', 'available'), ('grant', 'grants', 'available'), ('adjustment', 'available', 'grants'),
    ('hold', 'available', 'held'), ('capture', 'held', 'revenue'), ('release', 'held', 'available'))),
  constraint holds_name_their_generation check ((kind in ('hold', 'capture', 'release')) = (generation_id is not null))
);
create index ledger_user on reprise.ledger_transfers (user_id, id desc);
create index ledger_generation on reprise.ledger_transfers (generation_id) where generation_id is not null;
create unique index one_signup on reprise.ledger_transfers (user_id) where kind = 'signup';
create unique index one_hold on reprise.ledger_transfers (generation_id) where kind = 'hold';
create unique index one_settlement on reprise.ledger_transfers (generation_id, item_index) where kind in ('capture', 'release');
create unique index one_request on reprise.ledger_transfers (actor, request_key) where request_key is not null;

-- The wallet is the running sum of the user's entries, kept by the database itself.
create function reprise.move_wallet() returns trigger language plpgsql as $$
begin
  update reprise.wallets set
    available = available + case when new.to_account = 'available' then new.amount when new.from_account = 'available' then -new.amount else 0 end,
    held = held + case when new.to_account = 'held' then new.amount when new.from_account = 'held' then -new.amount else 0 end
  where user_id = new.user_id;
  return null;
end $$;
create trigger move_wallet after insert on reprise.ledger_transfers for each row execute function reprise.move_wallet();

create function reprise.ledger_is_append_only() returns trigger language plpgsql as $$
begin
  raise exception 'the ledger is append-only' using errcode = 'check_violation';
end $$;
create trigger append_only before update or delete on reprise.ledger_transfers for each row execute function reprise.ledger_is_append_only();

-- One item per result of a generation; open until it is captured or released, once.
create table reprise.hold_items (
  generation_id uuid not null,
  index int not null,
  user_id uuid not null,
  amount bigint not null check (amount >= 0),
  state text not null default 'open' check (state in ('open', 'captured', 'released')),
  settled_at timestamptz,
  primary key (generation_id, index)
);
create function reprise.guard_hold_item() returns trigger language plpgsql as $$
begin
  if old.state <> 'open' then
    raise exception 'item % of % is already %', old.index, old.generation_id, old.state using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger guard_item before update of state on reprise.hold_items for each row execute function reprise.guard_hold_item();

-- What one result costs. The most specific row wins: (kind, provider, model), then (kind, provider, *), then (kind, *, *).
create table reprise.prices (
  kind text not null,
  provider text not null default '*',
  model text not null default '*',
  tokens bigint not null check (tokens >= 0),
  updated_at timestamptz not null default reprise.now(),
  primary key (kind, provider, model)
);
insert into reprise.prices (kind, tokens) values ('song', 5), ('image', 1), ('video', 10);
