import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Machine, programs } from './machine.ts'
import { ToolchainError } from './problem.ts'
import { isSupported, type Release, releaseOf } from './release.ts'

/** Something that a package of the distribution would bring. */
export type MissingPackage = {
  readonly title: string
  readonly packageOf: (release: Release) => string
  readonly lookedFor: string
}

/** The one thing that needs root: installs packages and leaves none of their services running or enabled. */
export const installScript = join(import.meta.dirname, 'install-packages.sh')

/**
 * Installs what is missing with one call of the distribution's package manager, as root or through sudo where it asks
 * no password. Throws `UNSUPPORTED_SYSTEM`, `MISSING_RIGHTS` (with the command for a person to run) or `INSTALL_FAILED`.
 */
export async function installPackages(
  machine: Machine,
  missing: readonly MissingPackage[],
  onLine: (line: string) => void,
): Promise<void> {
  const release = releaseOfMachine(machine)
  if (!isSupported(release)) throw unsupported(release, missing)
  const packages = [...new Set(missing.map(({ packageOf }) => packageOf(release)))].sort()
  const command = ['sh', installScript, ...packages] as const
  const asRoot = await commandAsRoot(machine, command)
  if (!asRoot) throw missingRights(machine, missing, command)
  const { exitCode, lastLines } = await machine.run(asRoot, onLine)
  if (exitCode === 0) return
  throw new ToolchainError(
    'INSTALL_FAILED',
    `apt-get could not install ${packages.join(', ')} (exit code ${exitCode}). Its last words:\n\n` +
      `${indented(lastLines)}\n\nMend that, then run again.`,
  )
}

async function commandAsRoot(
  machine: Machine,
  command: readonly [string, ...string[]],
): Promise<readonly [string, ...string[]] | null> {
  if (machine.isRoot) return command
  const { exitCode } = await machine.run(['sudo', '-n', 'true'])
  return exitCode === 0 ? ['sudo', '-n', ...command] : null
}

function releaseOfMachine(machine: Machine): Release {
  const file = join(machine.root, 'etc/os-release')
  return releaseOf(existsSync(file) ? readFileSync(file, 'utf8') : '')
}

function unsupported(release: Release, missing: readonly MissingPackage[]): ToolchainError {
  const list = missing.map(({ title, lookedFor }) => `    ${title}: ${lookedFor}`).join('\n')
  return new ToolchainError(
    'UNSUPPORTED_SYSTEM',
    `Parley knows the packages of Debian 12 or newer and of Ubuntu 22.04 or newer, not those of ${release.title}. ` +
      `Install these by hand, so that they are found where we look, then run again:\n\n${list}`,
  )
}

function missingRights(
  machine: Machine,
  missing: readonly MissingPackage[],
  command: readonly string[],
): ToolchainError {
  const quoted = command.map((word) => (/^[\w./:@+-]+$/.test(word) ? word : `'${word}'`)).join(' ')
  const line = programs(machine, 'sudo').length > 0 ? `sudo ${quoted}` : `su -c "${quoted}"`
  return new ToolchainError(
    'MISSING_RIGHTS',
    `These are missing, and installing them takes root: ${missing.map(({ title }) => title).join(', ')}. ` +
      `Run this once, then run again:\n\n    ${line}\n\n` +
      'It installs packages of the distribution, and leaves none of their services running or enabled.',
  )
}

/** Lines of another program, set off from ours. */
export function indented(lines: readonly string[]): string {
  return lines.map((line) => `    ${line}`).join('\n')
}
