import { spawn } from 'node:child_process'
import { readdirSync, realpathSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'

/** What the toolchain sees of the machine it runs on. Tests give another. */
export type Machine = {
  readonly platform: string
  readonly arch: string
  /** The root of the file system: `/`. */
  readonly root: string
  /** The folders in which programs are looked for, in order. */
  readonly path: readonly string[]
  readonly isRoot: boolean
  /** The Node that runs us: the one that the lock file pins. */
  readonly node: string
  readonly run: Run
}

/**
 * Runs a program to its end, without input. `onLine` sees each line of its output as it comes; the last lines are given
 * back for an error message. Never rejects: a program that cannot be started ends with 127, as a shell says it.
 */
export type Run = (
  argv: readonly [program: string, ...args: string[]],
  onLine?: (line: string) => void,
) => Promise<{ readonly exitCode: number; readonly lastLines: readonly string[] }>

const lastLinesMax = 20

/** This machine, as it is. */
export function thisMachine(): Machine {
  return {
    platform: process.platform,
    arch: process.arch,
    root: '/',
    path: (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''),
    isRoot: process.getuid?.() === 0,
    node: process.execPath,
    run,
  }
}

const run: Run = ([program, ...args], onLine) =>
  new Promise((resolve) => {
    const lastLines: string[] = []
    const keep = (line: string): void => {
      const plain = withoutColours(line)
      if (plain === '') return
      lastLines.push(plain)
      if (lastLines.length > lastLinesMax) lastLines.shift()
      onLine?.(plain)
    }
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', keep)
    child.once('error', (error) => {
      lastLines.push(error.message)
      resolve({ exitCode: 127, lastLines })
    })
    child.once('close', (code) => resolve({ exitCode: code ?? 1, lastLines }))
  })

/** Every program of this name on the machine's path, in order. */
export function programs(machine: Machine, name: string): string[] {
  return machine.path.map((folder) => join(folder, name)).filter(isFile)
}

/** Whether there is a file at this path, or behind a link at it. */
export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}

/** The names in a folder; none when there is no such folder. */
export function names(folder: string): string[] {
  return statSync(folder, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(folder) : []
}

/** The file behind a link, as Debian's alternatives make them; null for a link to nothing. */
export function resolved(path: string): string | null {
  return isFile(path) ? realpathSync(path) : null
}

function withoutColours(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: Maven colours its output even where nobody sees it.
  return line.replace(/\u001b\[[0-9;]*m/g, '').trimEnd()
}
