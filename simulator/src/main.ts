import { readEnvironment } from './settings.ts'
import { createSimulator } from './simulator.ts'

const simulator = await createSimulator(readEnvironment(process.env))
process.stdout.write(`${JSON.stringify({ ready: true, url: simulator.url })}\n`)

let ending = false
const end = () => {
  if (ending) return
  ending = true
  void simulator.close().finally(() => process.exit(0))
}
process.on('SIGTERM', end)
process.on('SIGINT', end)
if (process.env.SIMULATOR_EXIT_WITH_PARENT === '1') {
  // The pipe closes when the parent ends, however it ends.
  process.stdin.on('end', end)
  process.stdin.on('error', end)
  process.stdin.resume()
}
