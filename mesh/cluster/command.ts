import { spawn } from 'node:child_process'
import { ClusterError } from './failure.ts'

/** What a program said. `code` is null where there is no such program. */
export type Said = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

/** How a program is run. */
export type RunOptions = {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** Ends it; whoever waits gets what it said so far. */
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
  /** What it reads. */
  readonly input?: string
  /** Each line that it writes, whichever way. */
  readonly onLine?: (line: string) => void
}

/** Runs a program that is found on PATH, never through a shell. It does not throw: a program that is not there is an answer. */
export type Runner = (program: string, args: readonly string[], options?: RunOptions) => Promise<Said>

/** The runner of this machine. */
export const runProgram: Runner = (program, args, options = {}) =>
  new Promise((resolve) => {
    const { cwd, env, signal, timeoutMs, input, onLine } = options
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(cwd !== undefined && { cwd }),
      ...(env && { env: { ...process.env, ...env } }),
      ...(signal && { signal }),
    })
    // spawn's own timer outlives a program that is not there, and would hold this process for all of it.
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => child.kill(), timeoutMs)
    const out = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8')
      child[name].on('data', (text: string) => {
        out[name] += text
        if (onLine) for (const line of text.split('\n')) if (line.trim() !== '') onLine(line.trim())
      })
    }
    let missing = false
    child.on('error', (error: NodeJS.ErrnoException) => {
      missing = error.code === 'ENOENT'
      clearTimeout(timer)
      if (missing) resolve({ code: null, ...out })
      else out.stderr += `${error.message}\n`
    })
    // What it did not read is told by how it ends.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    child.on('exit', () => {
      // What a program started lives on with its pipes when we ended it, and has nothing more to say to us.
      if (child.killed) for (const name of ['stdout', 'stderr'] as const) child[name].destroy()
    })
    child.on('close', (code, killedBy) => {
      clearTimeout(timer)
      if (!missing)
        resolve({ code: code ?? 1, ...out, stderr: killedBy ? `${out.stderr}ended by ${killedBy}\n` : out.stderr })
    })
  })

const linesShown = 12

/**
 * Runs a program that must succeed, and gives its standard output.
 * @throws ClusterError TOOL_FAILED with its last lines; INTERRUPTED
 */
export async function must(
  run: Runner,
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, options)
  if (options.signal?.aborted) throw new ClusterError('INTERRUPTED', `Interrupted in ${program} ${args[0]}.`)
  if (code === 0) return stdout
  if (code === null) throw new ClusterError('TOOL_FAILED', `There is no ${program} on the PATH.`)
  const lines = (stderr.trim() || stdout.trim()).split('\n').slice(-linesShown)
  throw new ClusterError(
    'TOOL_FAILED',
    `${program} ${args.join(' ')} ended with ${code}:\n${lines.map((line) => `  | ${line}`).join('\n')}\nMend it and run it again: it continues from here.`,
  )
}
