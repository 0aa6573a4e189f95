-- 10 минут, 2 минуты, 1 минута, 30 секунд
create or replace function reprise.russian_time(p_seconds int) returns text language sql immutable as $$
  select n || ' ' || case when n % 100 between 11 and 14 then many when n % 10 = 1 then one when n % 10 between 2 and 4 then few else many end
  from (select case when p_seconds >= 60 then round(p_seconds / 60.0)::int else p_seconds end as n,
    case when p_seconds >= 60 then 'минута' else 'секунда' end as one, case when p_seconds >= 60 then 'минуты' else 'секунды' end as few,
    case when p_seconds >= 60 then 'минут' else 'секунд' end as many) words
$$;

-- The seed's labels of errors, for readers of the view (filled at start from the texts of the code).
create table if not exists reprise.error_labels (code text primary key, label text not null);

-- Seed 001's collection `musicClipsJobs`, with its fields in snake_case. A job's stage is read from its generation:
-- there is one truth.
create or replace view ${COMPAT_SCHEMA}.music_clips_jobs with (security_barrier = true) as
  select job.job_id, job.channel_id, job.user_id, stage.stage, job.suno_task_id,
    case when stage.stage in ('STAGE_50_SUNO_SUCCESS', 'STAGE_90_FAILED', 'STAGE_99_TIMEOUT') then track.audio_url end as audio_url,
    case stage.stage
      when 'STAGE_90_FAILED' then coalesce(job.refused_message, 'Suno generation failed: ' || coalesce(l.label, job.error_code, 'Cancelled'))
      when 'STAGE_99_TIMEOUT' then 'Превышено время ожидания генерации (' || reprise.russian_time(job.seconds) || '). Проверьте статус в Suno или попробуйте снова.'
    end as error_message,
    case stage.stage
      when 'STAGE_10_REQUEST_ACCEPTED' then 'Запрос принят, отправляем запрос в Suno...'
      when 'STAGE_20_SUNO_REQUEST_SENT' then 'Запрос отправлен в Suno, ожидаем ответ...'
      when 'STAGE_30_SUNO_TASK_CREATED' then 'Задача создана в Suno, ожидаем генерацию...'
      when 'STAGE_40_SUNO_PENDING' then case when job.state = 'saving' then 'Музыка готова, сохраняем файл...' else 'Генерация музыки в процессе (PENDING/GENERATING)...' end
      when 'STAGE_50_SUNO_SUCCESS' then 'Музыка сгенерирована успешно!'
      when 'STAGE_90_FAILED' then 'Ошибка при генерации'
      when 'STAGE_99_TIMEOUT' then 'Превышено время ожидания'
    end as progress_text,
    job.created_at, job.updated_at, job.arrived_late, job.generation_id, job.error_code, job.state, job.seconds
  from (
    select r.job_id, r.channel_id, r.user_id, r.generation_id, r.refused_message, r.created_at, coalesce(h.updated_at, r.created_at) as updated_at,
      g.state, g.heard_at, g.provider_task_id as suno_task_id, coalesce(g.error_code, r.refused_code) as error_code,
      g.arrived_late_at is not null as arrived_late, extract(epoch from g.deadline_at - g.created_at)::int as seconds
    from reprise.music_clips_runs r
    left join reprise.generations g on g.id = r.generation_id
    left join reprise.heartbeats h on h.id = r.generation_id
  ) job
  cross join lateral (select case job.state
    when 'queued' then 'STAGE_10_REQUEST_ACCEPTED' when 'submitting' then 'STAGE_20_SUNO_REQUEST_SENT'
    when 'generating' then case when job.heard_at is null then 'STAGE_30_SUNO_TASK_CREATED' else 'STAGE_40_SUNO_PENDING' end
    when 'previewing' then 'STAGE_40_SUNO_PENDING' when 'saving' then 'STAGE_40_SUNO_PENDING' when 'complete' then 'STAGE_50_SUNO_SUCCESS'
    when 'timed_out' then 'STAGE_99_TIMEOUT' else 'STAGE_90_FAILED' end as stage) stage
  left join lateral (
    select t.storage_audio_url as audio_url from ${COMPAT_SCHEMA}.tracks t
    where t.generation_id = job.generation_id and t.deleted_at is null order by t.track_variant limit 1
  ) track on true
  left join reprise.error_labels l on l.code = job.error_code;

-- A view runs with its owner's rights, past the policies of the tables behind it: only the service role reads it.
revoke all on ${COMPAT_SCHEMA}.music_clips_jobs from public, anon, authenticated;
grant select on ${COMPAT_SCHEMA}.music_clips_jobs to service_role;
-- Functions in a view run with the rights of who reads it.
grant execute on function reprise.russian_time(int) to service_role;
