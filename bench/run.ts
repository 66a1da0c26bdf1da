/** `make bench`: every scenario in a process of its own, one after the other. `make bench` prints Markdown tables. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const scenarios = ['hop', 'rest', 'streaming', 'orders', 'queue', 'bus', 'saga', 'render'] as const

const chosen = scenarios.filter((name) => process.argv.length < 3 || process.argv.includes(name))
const failed = chosen.filter((name) => {
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, name, 'main.ts')], { stdio: 'inherit' })
  return status !== 0
})
if (failed.length > 0) {
  console.error(`\nThese did not run to their end: ${failed.join(', ')}`)
  process.exitCode = 1
}
