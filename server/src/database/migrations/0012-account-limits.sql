-- How many tasks the account may run at once, as it last told itself; null when it never did.
alter table reprise.provider_accounts add column concurrency int check (concurrency > 0);
