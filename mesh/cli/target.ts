import { execFile } from 'node:child_process'
import { UsageError } from './exit.ts'

/** Where a system is brought up, and why there. */
export type Target = { readonly target: 'local'; readonly why: string }

const answerMsMax = 3_000

/**
 * Chooses where to run. The local run needs no Docker and is the only target of this version: asked for kind, it says so
 * with a UsageError; asked for nothing, it says why it is local.
 */
export async function chooseTarget(wished: string | undefined): Promise<Target> {
  switch (wished) {
    case 'local':
      return { target: 'local', why: 'as TARGET says' }
    case 'kind':
      throw new UsageError(
        'This version cannot run on kind yet, only on this machine: leave TARGET away, or give TARGET=local.',
      )
    case undefined:
    case '':
      return { target: 'local', why: await whyLocal() }
    default:
      throw new UsageError(`There is no target ${wished}; there are local and kind.`)
  }
}

async function whyLocal(): Promise<string> {
  if (!(await answers('docker', ['version', '--format', '{{.Server.Version}}']))) return 'Docker does not answer here'
  if (!(await answers('kind', ['version']))) return 'Docker answers, but there is no kind'
  return 'Docker and kind answer, but this version cannot use them yet'
}

function answers(program: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: answerMsMax }, (error) => resolve(error === null))
  })
}
