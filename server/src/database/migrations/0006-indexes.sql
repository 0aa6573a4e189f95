-- What is looked for often and found rarely: attempts that run, names of stored bytes, the attempt of a provider's task.
create index attempts_running on reprise.attempts (account) where state in ('intended', 'sent', 'accepted', 'unknown');
create index files_blob on reprise.files (blob_key);
create index attempts_task on reprise.attempts (provider, task_id) where task_id is not null;
