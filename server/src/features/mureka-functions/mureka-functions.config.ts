import { list, setting } from '../../config/setting.ts'

export const murekaFunctionsSettings = {
  audioUrlHosts: setting({
    env: 'AUDIO_URL_HOSTS',
    doc: "Hosts (and their subdomains) from which `download-and-save-track` fetches songs of the team's own rows, separated by commas. Reprise's own generations need none.",
    schema: list(),
    default: 'mureka.ai,suno.ai,suno.com,sunoapi.org,aiquickdraw.com,erweima.ai,redpandaai.co,replicate.delivery',
  }),
}
