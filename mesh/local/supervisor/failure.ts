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
  const lines = lastLines(spec.logFile, linesShown, life.logFrom)
  const log =
    lines.length > 0 ? `Its last lines:\n${lines.map((line) => `  | ${line}`).join('\n')}\n` : 'It wrote no log.\n'
  return new RunFailure(`${spec.name} ${record.lastExit ?? 'failed'}${often}.\n${log}Its log: ${spec.logFile}`)
}
