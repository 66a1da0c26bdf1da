import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pythonWithPip } from '#local/toolchain/clients.ts'
import { withLock } from '#local/toolchain/lock.ts'
import { type Machine, programs } from '#local/toolchain/machine.ts'
import { installPackages, type MissingPackage } from '#local/toolchain/packages.ts'
import {
  checkov,
  checkovDir,
  chromiumPackage,
  etcdPackage,
  findTestTool,
  type GoTool,
  goFolder,
  goMin,
  goTools,
  schemas,
  schemasDir,
  type TestToolName,
  testToolsDir,
} from './tools.ts'

/** A tool that could not be brought, and what a person can do about it. */
export type NotBrought = { readonly tool: TestToolName; readonly reason: string }

type Report = (line: string) => void

/**
 * Brings every tool of the tests that is not there yet, and gives those that could not be brought: one that is missing
 * stops no other. Processes that call at the same time wait for one another. The first time takes minutes, for the Go
 * tools are built from source, one after the other and at the lowest priority.
 */
export async function bringTestTools(machine: Machine, report: Report): Promise<readonly NotBrought[]> {
  const missing = testToolNames.filter((name) => findTestTool(name, machine) === null)
  if (missing.length === 0) return []
  await mkdir(testToolsDir, { recursive: true })
  const onWait = (pid: number): void => report(`test tools: process ${pid} is bringing them`)
  return withLock(join(testToolsDir, '.lock-tests'), onWait, () => bringMissing(machine, report))
}

const testToolNames: readonly TestToolName[] = [
  'chromium',
  'etcd',
  'kubernetes-schemas',
  ...goTools.map(({ name }) => name),
  'checkov',
]

async function bringMissing(machine: Machine, report: Report): Promise<readonly NotBrought[]> {
  const problems: NotBrought[] = []
  await removeLeftovers()
  for (const tool of testToolNames) {
    if (findTestTool(tool, machine) !== null) continue
    report(`${tool}: bringing it`)
    const reason = await bring(tool, machine)
    if (reason === null) report(`${tool}: done`)
    else problems.push({ tool, reason })
  }
  return problems
}

/** Null, or why it could not be brought. */
async function bring(tool: TestToolName, machine: Machine): Promise<string | null> {
  switch (tool) {
    case 'chromium':
      return bringPackage(machine, chromiumPackage)
    case 'etcd':
      return bringPackage(machine, etcdPackage)
    case 'checkov':
      return bringCheckov(machine)
    case 'kubernetes-schemas':
      return bringSchemas(machine)
    default: {
      const found = goTools.find(({ name }) => name === tool)
      return found ? bringGoTool(found, machine) : `${tool} is no tool of the tests`
    }
  }
}

async function bringPackage(machine: Machine, wanted: MissingPackage): Promise<string | null> {
  try {
    await installPackages(machine, [wanted], () => {})
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

async function bringGoTool(tool: GoTool, machine: Machine): Promise<string | null> {
  const go = await findGo(machine)
  if (go === null) {
    return `it is built by Go ${goMin.major}.${goMin.minor} or newer, which is not on the PATH: install Go, then run this again`
  }
  const work = join(testToolsDir, `.test-fetch-${tool.name}`)
  const folder = goFolder(tool)
  // GOFLAGS may hold what only fits a module of its own, such as -mod=vendor.
  const settings = [`GOBIN=${work}`, 'GOFLAGS=-buildvcs=false -trimpath', 'CGO_ENABLED=0']
  const failed = await runNicely(machine, ['env', ...settings, go, 'install', `${tool.package}@${tool.version}`])
  if (failed === null) await moveIntoPlace(work, folder)
  return failed
}

async function findGo(machine: Machine): Promise<string | null> {
  for (const go of [...programs(machine, 'go'), '/usr/local/go/bin/go']) {
    const { exitCode, lastLines } = await machine.run([go, 'version'])
    const [, major = 0, minor = 0] = /go(\d+)\.(\d+)/.exec(lastLines.join(' '))?.map(Number) ?? []
    if (exitCode === 0 && (major > goMin.major || (major === goMin.major && minor >= goMin.minor))) return go
  }
  return null
}

const noPip = 'it comes by pip, which no python3 on the PATH has: install python3-pip, then run this again'
const pipQuiet = ['-q', '--disable-pip-version-check', '--no-input'] as const

async function bringCheckov(machine: Machine): Promise<string | null> {
  const python = await pythonWithPip(machine)
  if (python === null) return noPip
  const work = join(testToolsDir, '.test-fetch-checkov')
  // A folder of its own instead of a virtual environment, which Debian's Python cannot make without another package.
  const install = ['install', ...pipQuiet, '--target', work, `checkov==${checkov.version}`]
  const failed = await runNicely(machine, [python, '-m', 'pip', ...install])
  if (failed === null) await moveIntoPlace(work, checkovDir)
  return failed
}

async function bringSchemas(machine: Machine): Promise<string | null> {
  const python = await pythonWithPip(machine)
  if (python === null) return noPip
  const work = join(testToolsDir, '.test-fetch-schemas')
  const download = [
    'download',
    ...pipQuiet,
    '--no-deps',
    '--require-hashes',
    '--dest',
    work,
    '-r',
    schemas.requirements,
  ]
  const failed = await runNicely(machine, [python, '-m', 'pip', ...download])
  if (failed !== null) return failed
  for (const wheel of await readdir(work)) {
    const unpacked = await runNicely(machine, [python, '-m', 'zipfile', '-e', join(work, wheel), work])
    if (unpacked !== null) return unpacked
  }
  await makeLocal(join(work, schemas.folder))
  await moveIntoPlace(join(work, schemas.folder), schemasDir)
  await rm(work, { recursive: true, force: true })
  return null
}

/** The schemas name themselves by addresses at which nothing is served: without these they refer to files beside them. */
async function makeLocal(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const schema: Record<string, unknown> = JSON.parse(await readFile(join(folder, name), 'utf8'))
    delete schema.$id
    const local = JSON.stringify(schema).replaceAll('"/api/_definitions.json#', '"_definitions.json#')
    await writeFile(join(folder, name), local)
  }
}

async function moveIntoPlace(work: string, folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(dirname(folder), { recursive: true })
  await rename(work, folder)
}

/** Other tests may be running beside us, some of which measure time. */
async function runNicely(machine: Machine, argv: readonly [string, ...string[]]): Promise<string | null> {
  const { exitCode, lastLines } = await machine.run(['nice', '-n', '19', ...argv])
  return exitCode === 0 ? null : `${argv.join(' ')} ended with ${exitCode}:\n    ${lastLines.slice(-8).join('\n    ')}`
}

async function removeLeftovers(): Promise<void> {
  const leftovers = (await readdir(testToolsDir)).filter((name) => name.startsWith('.test-fetch-'))
  for (const name of leftovers) await rm(join(testToolsDir, name), { recursive: true, force: true })
}
