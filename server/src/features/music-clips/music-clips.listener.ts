import type { MoveListener } from '../../engine/store.ts'
import type { GenerationRecord } from '../../engine/state.ts'
import type { Logger } from '../../kernel/logger.ts'

/** The seed's stage of a record; the view `music_clips_jobs` says the same in SQL. */
export function stageOf({ generation: { state, heardAt } }: GenerationRecord): string {
  switch (state) {
    case 'queued':
      return 'STAGE_10_REQUEST_ACCEPTED'
    case 'submitting':
      return 'STAGE_20_SUNO_REQUEST_SENT'
    case 'generating':
      return heardAt === null ? 'STAGE_30_SUNO_TASK_CREATED' : 'STAGE_40_SUNO_PENDING'
    case 'previewing':
    case 'saving':
      return 'STAGE_40_SUNO_PENDING'
    case 'complete':
      return 'STAGE_50_SUNO_SUCCESS'
    case 'timed_out':
      return 'STAGE_99_TIMEOUT'
    case 'failed':
    case 'cancelled':
      return 'STAGE_90_FAILED'
  }
}

/** The seed's log line of a stage; always called after the commit. */
export function logStage(logger: Logger, { jobId, stage, taskId }: { jobId: string; stage: string; taskId: string | null }): void {
  logger.info({ jobId, taskId, stage }, `[MusicClipsJob] ${stage} jobId=${jobId} taskId=${taskId ?? '-'}`)
}

/** Keeps `lastJobStatus` of the channel with each stage, and writes the seed's log lines once it is committed. */
export function followMusicClips(logger: Logger): MoveListener {
  return async (tx, moves) => {
    const changes = moves
      .map(({ decision }) => ({ id: decision.after.generation.id, taskId: decision.after.generation.providerTaskId, origin: decision.after.generation.origin, move: decision.move, from: stageOf(decision.before), to: stageOf(decision.after) }))
      .filter(({ origin, from, to }) => origin === 'music_clips' && from !== to)
    if (changes.length === 0) return
    const { rows } = await tx.query<{ jobId: string; generationId: string }>(
      'select job_id as "jobId", generation_id as "generationId" from reprise.music_clips_runs where generation_id = any($1)', [changes.map((change) => change.id)])
    const jobs = new Map(rows.map((row) => [row.generationId, row.jobId]))
    await tx.query(
      `update reprise.channels c set music_clips_settings = c.music_clips_settings || jsonb_build_object('lastJobStatus', n.stage)
       from (select distinct on ("jobId") "jobId", stage from jsonb_to_recordset($1) as n ("jobId" text, stage text, place int) order by "jobId", place desc) n
       join reprise.music_clips_runs r on r.job_id = n."jobId"
       where c.id = r.channel_id and c.music_clips_settings ->> 'lastJobId' = n."jobId"`,
      [JSON.stringify(changes.map(({ id, to }, place) => ({ jobId: jobs.get(id), stage: to, place })))],
    )
    return () => {
      for (const { id, taskId, to, move } of changes) {
        const jobId = jobs.get(id)!
        logStage(logger, { jobId, stage: to, taskId })
        if (move === 'accepted' || move === 'adopted') logger.info({ jobId, taskId }, `[MusicClips] Starting server-side polling jobId=${jobId} taskId=${taskId}`)
      }
    }
  }
}
