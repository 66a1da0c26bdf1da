/**
 * `make bench`: every scenario in a process of its own, one after the other, as Markdown. On a machine that does nothing else
 * `make bench > bench/RESULTS.md` writes the results; what runs besides is in the figures. The number before a title is
 * the row of `docs/patterns/README.md`.
 */
import { spawnSync } from 'node:child_process'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import { fetchedTools } from '#local/toolchain/tools.ts'

/** In the order of the rows as far as a scenario has one. */
const scenarios = [
  ...['rest', 'streaming', 'queue', 'bus', 'processor', 'event-store', 'saga', 'hop', 'web', 'shop', 'orders'],
  'render',
] as const

const chosen = scenarios.filter((name) => process.argv.length < 3 || process.argv.includes(name))
const unknown = process.argv.slice(2).filter((name) => !scenarios.some((known) => known === name))
if (unknown.length > 0) {
  console.error(`There is no scenario ${unknown.join(', ')}. There are: ${scenarios.join(', ')}.`)
  process.exit(2)
}

const day = new Date().toISOString().slice(0, 10)
const memoryGib = Math.round(totalmem() / 1024 ** 3)
const versions = [`Node ${process.versions.node}`, ...Object.values(fetchedTools).map(({ title }) => title)]
const machine = `${day}, ${availableParallelism()} cores, ${memoryGib} GiB, ${versions.join(', ')}; \`make bench\`.`
console.log(`# Measured\n\n${machine} Absolute times are this machine's; the ratios travel better.`)
const failed = chosen.filter((name) => {
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, name, 'main.ts')], { stdio: 'inherit' })
  return status !== 0
})
if (failed.length > 0) {
  console.error(`\nThese did not run to their end: ${failed.join(', ')}`)
  process.exitCode = 1
}
