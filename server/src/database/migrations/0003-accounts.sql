create table reprise.accounts (
  user_id uuid primary key,
  -- the token's `sub`, whatever its form
  subject text not null unique,
  email text,
  created_at timestamptz not null default reprise.now()
);
create table reprise.session_links (
  token_hash bytea primary key,
  user_id uuid not null references reprise.accounts,
  expires_at timestamptz not null,
  used_at timestamptz
);
-- Secrets that Reprise makes for itself when the configuration names none (media signing, sessions).
create table reprise.secrets (
  name text primary key,
  value text not null
);
