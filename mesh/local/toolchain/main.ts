/**
 * `bin/node mesh/local/toolchain/main.ts bring [TOOL...]` brings the named tools, or all, and starts nothing: for tests
 * that start parts themselves, and for people who want to be offline later.
 * `bin/node mesh/local/toolchain/main.ts pin TOOL` prints the pins of a tool whose version was changed.
 */
import { join } from 'node:path'
import { pinsOf } from './pin.ts'
import { ToolchainError } from './problem.ts'
import { ensureToolchain, type ToolProgress } from './toolchain.ts'
import { fetchedTools, isToolName, type ToolName, toolNames } from './tools.ts'

const toolsDir = process.env.PARLEY_TOOLS ?? join(import.meta.dirname, '../../../.parley/tools')

async function main([verb, ...names]: readonly string[]): Promise<void> {
  const known = names.filter(isToolName)
  const [fetched] = Object.values(fetchedTools).filter(({ name }) => name === names[0])
  if (verb === 'bring' && known.length === names.length) await bring(known.length > 0 ? known : toolNames)
  else if (verb === 'pin' && fetched) process.stdout.write(await pinsOf(fetched, say))
  else {
    say(`usage: main.ts bring [${toolNames.join('|')}]..., or pin ${Object.keys(fetchedTools).join('|')}`)
    process.exitCode = 2
  }
}

async function bring(needs: readonly ToolName[]): Promise<void> {
  try {
    await ensureToolchain({ toolsDir, needs, report })
  } catch (error) {
    if (!(error instanceof ToolchainError)) throw error
    say(error.message)
    process.exitCode = 3
  }
}

function report({ what, state, detail }: ToolProgress): void {
  if (state !== 'working') say(`${what}: ${detail || state}`)
}

function say(line: string): void {
  process.stderr.write(`parley: ${line}\n`)
}

await main(process.argv.slice(2))
