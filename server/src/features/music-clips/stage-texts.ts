import { text, type Language } from '../../texts/texts.ts'
import type { ErrorCode } from '../../kernel/errors.ts'

/** The English and French of the texts that the view `music_clips_jobs` has in the seed's Russian. */
const PROGRESS: Record<'en' | 'fr', Record<string, string>> = {
  en: {
    STAGE_10_REQUEST_ACCEPTED: 'Request accepted, sending it to Suno...',
    STAGE_20_SUNO_REQUEST_SENT: 'Request sent to Suno, waiting for the answer...',
    STAGE_30_SUNO_TASK_CREATED: 'Task created at Suno, waiting for the music...',
    STAGE_40_SUNO_PENDING: 'The music is being made (PENDING/GENERATING)...',
    saving: 'The music is ready, saving the file...',
    STAGE_50_SUNO_SUCCESS: 'The music is ready!',
    STAGE_90_FAILED: 'The generation failed',
    STAGE_99_TIMEOUT: 'It took too long',
  },
  fr: {
    STAGE_10_REQUEST_ACCEPTED: 'Demande acceptée, envoi à Suno...',
    STAGE_20_SUNO_REQUEST_SENT: 'Demande envoyée à Suno, en attente de la réponse...',
    STAGE_30_SUNO_TASK_CREATED: 'Tâche créée chez Suno, en attente de la musique...',
    STAGE_40_SUNO_PENDING: 'La musique est en cours de création (PENDING/GENERATING)...',
    saving: 'La musique est prête, enregistrement du fichier...',
    STAGE_50_SUNO_SUCCESS: 'La musique est prête !',
    STAGE_90_FAILED: 'La génération a échoué',
    STAGE_99_TIMEOUT: "Le temps d'attente est dépassé",
  },
}

/** @param row a row of the view `music_clips_jobs`, whose own texts are the Russian ones. */
export function stageTexts(row: Record<string, any>, language: Language): { progressText: string; error: string | null } {
  if (language === 'ru') return { progressText: row.progress_text, error: row.error_message }
  const progressText = PROGRESS[language][row.state === 'saving' ? 'saving' : row.stage]!
  const translated = row.error_message && row.error_code && row.generation_id ? text(language, row.error_code as ErrorCode) : row.error_message
  return { progressText, error: translated }
}
