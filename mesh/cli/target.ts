import { execFile } from 'node:child_process'
import { UsageError } from './exit.ts'

/** Where a system is brought up, and why there. */
export type Target = { readonly target: 'local' | 'kind'; readonly why: string }

const answerMsMax = 3_000

/** The option that says where to run. */
export const targetOption = ['--target <target>', 'local or kind (default: $TARGET, otherwise chosen)'] as const

/**
 * Chooses where to run: where the wish says; otherwise on kind where Docker and kind answer, and on this machine
 * where they do not. Throws a UsageError for a target that there is not.
 */
export async function chooseTarget(wished: string | undefined): Promise<Target> {
  switch (wished) {
    case 'local':
    case 'kind':
      return { target: wished, why: 'as TARGET says' }
    case undefined:
    case '':
      return answering()
    default:
      throw new UsageError(`There is no target ${wished}; there are local and kind.`)
  }
}

async function answering(): Promise<Target> {
  const [docker, kind] = await Promise.all([
    answers('docker', ['version', '--format', '{{.Server.Version}}']),
    answers('kind', ['version']),
  ])
  if (!docker) return { target: 'local', why: 'Docker does not answer here' }
  if (!kind) return { target: 'local', why: 'Docker answers, but there is no kind' }
  return { target: 'kind', why: 'Docker and kind answer; TARGET=local runs it without them' }
}

/** Whether kind has a cluster of that name; without kind there is none. */
export async function kindHas(cluster: string): Promise<boolean> {
  const listed = await said('kind', ['get', 'clusters'])
  return listed?.split('\n').some((line) => line.trim() === cluster) ?? false
}

async function answers(program: string, args: readonly string[]): Promise<boolean> {
  return (await said(program, args)) !== null
}

function said(program: string, args: readonly string[]): Promise<string | null> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: answerMsMax }, (error, stdout) => resolve(error === null ? stdout : null))
  })
}
