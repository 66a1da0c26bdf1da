import type { Life } from './life.ts'
import { lastLines } from './log.ts'

/** The run, or a command to it, failed. The message is meant for a person: what, why, the log's end, the next step. */
export class RunFailure extends Error {
  override readonly name = 'RunFailure'
}

const linesShown = 12

/** What is to be said of a process that does not become ready. */
export function failureOf(life: Life): RunFailure {
  const { spec, record } = life
  const often = record.failures > 1 && record.state === 'backoff' ? `, ${record.failures} times in a row` : ''
  const { title, lines } = telling(lastLines(spec.logFile, Number.POSITIVE_INFINITY, life.logFrom))
  const log = lines.length > 0 ? `${title}:\n${lines.map((line) => `  | ${line}`).join('\n')}\n` : 'It wrote no log.\n'
  return new RunFailure(`${spec.name} ${record.lastExit ?? 'failed'}${often}.\n${log}Its log: ${spec.logFile}`)
}

/** What a process says of its own end, as Envoy marks it. Where it was in its code when it ended helps nobody here. */
const fatal = /\[critical\]/
const whereInCode = /\[backtrace\]/

/** The lines that name the cause: from the first fatal one on where lines are marked so, otherwise the last ones. */
function telling(all: readonly string[]): { readonly title: string; readonly lines: readonly string[] } {
  const lines = all.filter((line) => !whereInCode.test(line))
  const first = lines.findIndex((line) => fatal.test(line))
  if (first === -1) return { title: 'Its last lines', lines: lines.slice(-linesShown) }
  return { title: 'It said', lines: lines.slice(first, first + linesShown) }
}
