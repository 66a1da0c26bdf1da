import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import type { Command } from 'commander'
import { checkSystem } from '#checks/check.ts'
import { reportText } from '#checks/report.ts'
import type { EnvironmentName } from '#graph/environment.ts'
import { derive } from '#plan/derive.ts'
import { type Change, diffPlans } from '#plan/diff.ts'
import type { Plan } from '#plan/plan.ts'
import { environmentName } from './environments.ts'
import { exitCodes, UsageError } from './exit.ts'
import { type LoadedSystem, loadSystem, projectDir } from './load.ts'
import { print, systemOption } from './output.ts'

type Options = { system?: string; environment: string; json?: boolean }

/** `parley diff [FROM] [TO]`: what two revisions of a declaration differ in, and whom it breaks. Exits with 1 where it breaks somebody. */
export function diffCommand(program: Command): void {
  program
    .command('diff')
    .description('show what changed between two revisions of the declaration, and whom it breaks')
    .argument('[from]', 'a revision of Git', 'HEAD')
    .argument('[to]', 'another; the files as they are when left out')
    .option(...systemOption)
    .option('--environment <name>', 'local, kind or production', 'production')
    .option('--json', 'print the changes as JSON')
    .action(async (from: string, to: string | undefined, options: Options) => {
      const environment = environmentName(options.environment)
      const now = await loadSystem(options.system)
      const before = await atRevision(from, now)
      const after = to === undefined ? now : await atRevision(to, now)
      const report = checkSystem(after.system)
      if (report.findings.length > 0) {
        process.stderr.write(`${reportText(report)}\nNothing was compared.\n`)
        process.exitCode = exitCodes.findings
        return
      }
      const changes = diffPlans(planAt(from, before, environment), derive(after.system, environment))
      print(options.json ? JSON.stringify(changes, null, 2) : diffText(changes))
      if (changes.some(({ breaks }) => breaks !== null)) process.exitCode = exitCodes.findings
    })
}

/** Rules grow, so an older revision need not pass them all; but a plan it must have. */
function planAt(revision: string, { system }: LoadedSystem, environment: EnvironmentName): Plan {
  try {
    return derive(system, environment)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new UsageError(`${revision} declares no system that could be compared: ${reason}`, { cause: error })
  }
}

/** Loads a system as a revision has it, from a copy of that revision which is removed again. */
async function atRevision(revision: string, { file }: LoadedSystem): Promise<LoadedSystem> {
  const repository = git(dirname(file), ['rev-parse', '--show-toplevel']).trim()
  const commit = git(repository, [
    'rev-parse',
    '--verify',
    '--quiet',
    '--end-of-options',
    `${revision}^{commit}`,
  ]).trim()
  const copy = mkdtempSync(join(tmpdir(), 'parley-diff-'))
  try {
    const archive = execFileSync('git', ['archive', '--format=tar', commit], { cwd: repository, maxBuffer: 1 << 30 })
    execFileSync('tar', ['-x', '-C', copy], { input: archive })
    symlinkSync(join(projectDir, 'node_modules'), join(copy, 'node_modules'))
    return await loadSystem(join(copy, relative(repository, file)))
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

function git(dir: string, args: readonly string[]): string {
  try {
    return execFileSync('git', args, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    const revision = args.at(-1)?.replace('^{commit}', '')
    const message = args.includes('--verify')
      ? `Git knows no revision ${revision} here: give a branch, a tag or a commit.`
      : `${dir} is in no Git repository, so there is no earlier revision to compare with.`
    throw new UsageError(message, { cause: error })
  }
}

const marks = { added: '+', removed: '-', changed: '~' } as const

function diffText(changes: readonly Change[]): string {
  if (changes.length === 0) return 'Nothing changed.'
  const lines = changes.flatMap(({ kind, what, subject, fields, breaks }) => [
    `${marks[kind]} ${what} ${subject}`,
    ...fields.map(({ field, from, to }) => `    ${field}: ${from} → ${to}`),
    ...(breaks === null ? [] : [`    ! breaks ${breaks}`]),
  ])
  const broken = changes.filter(({ breaks }) => breaks !== null).length
  return [
    ...lines,
    '',
    `${changes.length === 1 ? '1 change' : `${changes.length} changes`}; breaking: ${broken}.`,
  ].join('\n')
}
