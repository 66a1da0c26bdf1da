import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { deploymentFiles } from '#cdk8s/deployment.ts'
import type { Files } from '#cdk8s/files.ts'
import { chartFiles } from '#cdk8s/helm/chart.ts'
import { checkSystem } from '#checks/check.ts'
import { reportText } from '#checks/report.ts'
import { type Difference, differences, write } from '#cluster/rendered.ts'
import { derive } from '#plan/derive.ts'
import { meshes } from '#providers/cluster.ts'
import { operatorsOf } from './cluster-inputs.ts'
import { clusterEnvironment, clusterEnvironments, meshName, settingsFor } from './environments.ts'
import { exitCodes, UsageError } from './exit.ts'
import { loadSystem, projectDir } from './load.ts'
import { gapsOf, unpinned } from './notices.ts'
import { print, systemOption } from './output.ts'

type Options = {
  system?: string
  environment?: string
  mesh?: string
  settings?: string
  out?: string
  check?: boolean
  stdout?: boolean
}

/** `parley render`: the Kubernetes objects of a system as files, and its Helm chart; `--check` only proves that they are fresh. */
export function renderCommand(program: Command): void {
  program
    .command('render')
    .description('write the Kubernetes objects of the system to charts/rendered/, and its Helm chart')
    .option(...systemOption)
    .option('--environment <name>', 'kind or production (default: both)')
    .option('--mesh <name>', 'istio, linkerd or none (default: all)')
    .option('--settings <file>', 'image, hosts, classes (default: charts/settings/<environment>.yaml)')
    .option('--out <dir>', 'where to (default: charts/rendered)')
    .option('--check', 'write nothing; exit with 1 when a file is not what it should be')
    .option('--stdout', 'print the objects of one environment and mesh instead')
    .action(run)
}

async function run(options: Options): Promise<void> {
  const { system } = await loadSystem(options.system)
  const report = checkSystem(system)
  if (report.findings.length > 0) {
    process.stderr.write(`${reportText(report)}\nNothing was rendered.\n`)
    process.exitCode = exitCodes.findings
    return
  }
  const chosen = variants(options)
  if (options.stdout && chosen.length > 1)
    throw new UsageError('--stdout prints one variant: give --environment and --mesh.')
  if (options.system !== undefined && !options.out && !options.stdout) {
    throw new UsageError('charts/rendered/ holds the shop: say where another system goes, with --out or --stdout.')
  }
  const root = resolve(options.out ?? join(projectDir, 'charts/rendered'))
  const missing = new Map<string, string[]>()
  const tagged = new Set<string>()
  for (const { environment, mesh } of chosen) {
    const plan = derive(system, environment)
    const settings = settingsFor(environment, options.settings)
    const files = deploymentFiles(plan, mesh, settings, operatorsOf(environment))
    const name = `${environment}/${mesh}`
    for (const line of gapsOf(plan, mesh, settings)) missing.set(line, [...(missing.get(line) ?? []), name])
    tagged.add(unpinned(environment, settings, options.settings) ?? '')
    if (options.stdout) print(objectsOf(files))
    else deliver(name, join(root, name), files, options)
  }
  if (isWhole(options)) {
    const dir = `charts/${system.name}`
    const plans = { kind: derive(system, 'kind'), production: derive(system, 'production') }
    const files = chartFiles(plans, settingsFor('production'), chartVersion)
    deliver(dir, join(projectDir, dir), files, options)
  }
  if (options.check) return
  const gaps = [...missing].map(([line, names]) => `not supported on ${names.join(' and ')}: ${line}`)
  for (const line of [...gaps, ...tagged]) if (line !== '') process.stderr.write(`${line}\n`)
}

/** Writes a folder, or only holds it against its files. What was written before stands in the lines above. */
function deliver(name: string, dir: string, files: Files, { check }: Options): void {
  try {
    if (check) checked(name, differences(dir, files))
    else print(`${name}: ${files.size} files, ${write(dir, files).length} changed`)
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error
    const next = check ? '' : ` ${name} may be written in part; the folders named above are whole.`
    throw new UsageError(`${dir} cannot be ${check ? 'read' : 'written'}: ${error.message}.${next}`, { cause: error })
  }
}

/** The version of the Helm chart; it grows when the chart's values change their meaning. */
const chartVersion = '0.1.0'

/** Whether everything in `charts/` that follows from the shop is asked for: the Helm chart has all variants in one. */
function isWhole({ system, environment, mesh, settings, out, stdout }: Options): boolean {
  return [system, environment, mesh, settings, out, stdout].every((option) => option === undefined)
}

/** The system's own objects; what GitOps controllers watch stands beside them. */
function objectsOf(files: Files): string {
  const own = [...files].filter(([path]) => !path.startsWith('gitops/'))
  return own
    .map(([, text]) => text)
    .join('')
    .trimEnd()
}

function variants({ environment, mesh }: Options) {
  const chosenEnvironments = environment === undefined ? clusterEnvironments : [clusterEnvironment(environment)]
  const chosenMeshes = mesh === undefined ? meshes : [meshName(mesh)]
  return chosenEnvironments.flatMap((each) => chosenMeshes.map((one) => ({ environment: each, mesh: one })))
}

/** As much of a line as tells which one it is. */
function cut(line: string): string {
  const text = line.trim()
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`
}

function checked(name: string, wrong: readonly Difference[]): void {
  if (wrong.length === 0) {
    print(`${name}: fresh`)
    return
  }
  process.exitCode = exitCodes.findings
  const lines = wrong.map(({ path, how, line }) => {
    const at = line ? `, line ${line.number}: "${cut(line.found)}" should be "${cut(line.expected)}"` : ''
    return `  ${path}: ${how}${at}`
  })
  process.stderr.write(
    `${name}: not what the declaration renders to:\n${lines.join('\n')}\nRun bin/parley render, read the diff, and commit it.\n`,
  )
}
