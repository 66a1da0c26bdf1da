/** `bin/node test/tools/main.ts bring` brings what the tests over rendered output use. Exits with 3 when a tool is missing. */
import { thisMachine } from '#local/toolchain/machine.ts'
import { bringTestTools } from './bring.ts'

const say = (line: string): void => void process.stderr.write(`parley: ${line}\n`)

if (process.argv[2] === 'bring') {
  const began = performance.now()
  const missing = await bringTestTools(thisMachine(), (line) => say(`${line} (${seconds(began)} s)`))
  for (const { tool, reason } of missing) say(`${tool} is missing, and its tests are skipped: ${reason}`)
  process.exitCode = missing.length > 0 ? 3 : 0
} else {
  say('usage: bin/node test/tools/main.ts bring')
  process.exitCode = 2
}

function seconds(began: number): string {
  return ((performance.now() - began) / 1000).toFixed(1)
}
