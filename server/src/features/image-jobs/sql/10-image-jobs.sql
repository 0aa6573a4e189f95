-- Owners read; whoever changes these rows is the service or Reprise itself.
revoke all on ${COMPAT_SCHEMA}.generation_jobs, ${COMPAT_SCHEMA}.generation_tasks from public, anon, authenticated;
drop policy if exists "Owners read their image jobs" on ${COMPAT_SCHEMA}.generation_jobs;
create policy "Owners read their image jobs" on ${COMPAT_SCHEMA}.generation_jobs for select to authenticated using (auth.uid() = user_id);
drop policy if exists "Service manages image jobs" on ${COMPAT_SCHEMA}.generation_jobs;
create policy "Service manages image jobs" on ${COMPAT_SCHEMA}.generation_jobs for all to service_role using (true) with check (true);
drop policy if exists "Owners read their cards" on ${COMPAT_SCHEMA}.generation_tasks;
create policy "Owners read their cards" on ${COMPAT_SCHEMA}.generation_tasks for select to authenticated
  using (exists (select from ${COMPAT_SCHEMA}.generation_jobs j where j.id = job_id and j.user_id = auth.uid()));
drop policy if exists "Service manages cards" on ${COMPAT_SCHEMA}.generation_tasks;
create policy "Service manages cards" on ${COMPAT_SCHEMA}.generation_tasks for all to service_role using (true) with check (true);
grant select on ${COMPAT_SCHEMA}.generation_jobs, ${COMPAT_SCHEMA}.generation_tasks to authenticated;
grant all on ${COMPAT_SCHEMA}.generation_jobs, ${COMPAT_SCHEMA}.generation_tasks to service_role;

-- The job whose card a generation makes; null for all other work.
create or replace function reprise.image_job_of(p_generation uuid) returns uuid language sql stable as $$
  select job_id from ${COMPAT_SCHEMA}.generation_tasks where generation_id = p_generation
$$;
