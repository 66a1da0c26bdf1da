import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { lastLines, readFrom } from '#local/supervisor/log.ts'
import { UsageError } from './exit.ts'
import { findRun, type RunOptions, runOption, stateDirOf, stateOption } from './find-run.ts'
import { print } from './output.ts'

const followEveryMs = 200

/** `parley logs [NAME...]`: what the processes wrote, oldest first, each line with the name of who wrote it. */
export function logsCommand(program: Command): void {
  program
    .command('logs [names...]')
    .description('show what processes say; a sidecar is called NAME.sidecar')
    .option('-f, --follow', 'go on until Ctrl-C')
    .option('-n, --lines <count>', 'how many lines of each', '20')
    .option(...runOption)
    .option(...stateOption)
    .action(async (names: string[], options: RunOptions & { follow?: boolean; lines: string }) => {
      const count = Number(options.lines)
      if (!Number.isInteger(count) || count < 0) throw new UsageError(`${options.lines} is no number of lines: -n 20`)
      const files = chosen(await logsDirOf(options), names)
      print(merged(files, count).join('\n'))
      if (options.follow) await followLogs(files)
    })
}

/** The log of one process. */
export type LogFile = { readonly name: string; readonly file: string }

/** Prints what is appended to logs from now on, until the signal aborts. */
export async function followLogs(files: readonly LogFile[], stop = new AbortController().signal): Promise<void> {
  const width = widthOf(files)
  const states = files.map((log) => ({ ...log, next: sizeOf(log.file), rest: '' }))
  while (!stop.aborted) {
    for (const state of states) {
      if (!existsSync(state.file)) continue
      const { text, next } = readFrom(state.file, state.next)
      state.next = next
      const lines = (state.rest + text).split('\n')
      state.rest = lines.pop() ?? ''
      for (const line of lines) print(`${state.name.padEnd(width)} | ${line}`)
    }
    await sleep(followEveryMs)
  }
}

async function logsDirOf(options: RunOptions): Promise<string> {
  const run = await findRun(options)
  const dir = join(run?.runDir ?? join(stateDirOf(options), 'runs', 'shop'), 'logs')
  if (existsSync(dir)) return dir
  throw new UsageError(`There are no logs in ${dir}: it was never up. Start it: bin/parley up`)
}

function chosen(dir: string, names: readonly string[]): LogFile[] {
  const all = readdirSync(dir)
    .filter((file) => file.endsWith('.log'))
    .map((file) => ({ name: file.slice(0, -'.log'.length), file: join(dir, file) }))
  const known = all.map(({ name }) => name).sort()
  const unknown = names.find((name) => !known.includes(name))
  if (unknown) throw new UsageError(`There is no log of ${unknown}. There are: ${known.join(', ')}.`)
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name))
}

/** The last lines of each log, in the order of their times. A line without a time belongs to the one before. */
function merged(files: readonly LogFile[], count: number): string[] {
  const width = widthOf(files)
  const lines = files.flatMap(({ name, file }) => {
    let atMs = 0
    return lastLines(file, count).map((line) => {
      atMs = timeOf(line) ?? atMs
      return { atMs, text: `${name.padEnd(width)} | ${line}` }
    })
  })
  return lines.sort((a, b) => a.atMs - b.atMs).map(({ text }) => text)
}

/** The time that a line bears: ISO 8601 as most write it, or milliseconds in a JSON field `time`. */
function timeOf(line: string): number | null {
  const millis = /"time":(\d{13})/.exec(line)
  if (millis) return Number(millis[1])
  const iso = /(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,3}))?/.exec(line)
  return iso ? Date.parse(`${iso[1]}T${iso[2]}.${(iso[3] ?? '0').padEnd(3, '0')}Z`) : null
}

function widthOf(files: readonly LogFile[]): number {
  return Math.max(0, ...files.map(({ name }) => name.length))
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}
