import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { takenPorts } from '#local/supervisor/ports.ts'
import { runProgram } from '#mesh/cluster/command.ts'
import { contextOf, deleteKind, kindCluster, kindExists } from '#mesh/cluster/kind.ts'
import type { Machine } from '#mesh/cluster/preflight.ts'
import { type KindUp, upOnKind } from '#mesh/cluster/up.ts'
import { derive } from '#plan/derive.ts'
import type { Plan } from '#plan/plan.ts'
import { fileInCheckout, kindFile, meshOr, operatorsOf } from './cluster-inputs.ts'
import { clusterReporter, interruptedBySignals } from './cluster-progress.ts'
import { settingsFor } from './environments.ts'
import { type LoadedSystem, projectDir } from './load.ts'
import { print } from './output.ts'
import { openProgress } from './progress.ts'
import { curls, spokenBy } from './welcome.ts'

/** Brings a checked system up on kind, and says where it is reached. Throws UsageError, ClusterError. */
export async function upKind(loaded: LoadedSystem, wishedMesh: string | undefined, why: string): Promise<void> {
  const mesh = meshOr(wishedMesh)
  const systemFile = fileInCheckout(loaded.file)
  const plan = derive(loaded.system, 'kind')
  const settings = settingsFor('kind')
  const operators = operatorsOf('kind')
  const progress = openProgress(process.stdout)
  progress.say(`${plan.system} on kind with ${mesh === 'none' ? 'no mesh' : mesh} (${why})`)
  const interrupt = interruptedBySignals(() => progress.say('Stopping; what is done stays …'))
  const up = await upOnKind({
    plan,
    mesh,
    settings,
    operators,
    rootDir: projectDir,
    systemFile,
    kindFile,
    machine: thisMachine(),
    signal: interrupt.signal,
    report: clusterReporter(progress),
  }).finally(() => progress.end())
  print(welcome(plan, up, progress.elapsed()))
}

/** Deletes the cluster of kind, with everything on it. One that is not there is fine. */
export async function downKind(): Promise<void> {
  const cluster = kindCluster(kindFile)
  const options = { run: runProgram, say: print, onLine: () => {} }
  if (!(await kindExists(cluster, options))) return print(`There is no cluster ${cluster.config.name}.`)
  const beganMs = performance.now()
  await deleteKind(cluster, options)
  print(
    `${cluster.config.name} and all that was on it is deleted, after ${((performance.now() - beganMs) / 1000).toFixed(1)} s.`,
  )
}

/** The context of the cluster that `up --target kind` makes. */
export function kindContext(): string {
  return contextOf(kindCluster(kindFile))
}

function thisMachine(): Machine {
  return {
    run: runProgram,
    memoryBytes: totalmem(),
    read: (path) => {
      try {
        return readFileSync(path, 'utf8')
      } catch {
        // Only Linux has /proc.
        return null
      }
    },
    portTaken: async ({ address, port }) => {
      const [taken] = await takenPorts([{ name: 'kind', listens: [{ address, port }] }])
      return taken ? `${taken.sentence} End it, or change the port in kind-config.yaml.` : null
    },
  }
}

function welcome(plan: Plan, { context, urls, smoke }: KindUp, elapsed: string): string {
  const width = Math.max(0, ...urls.map(({ name }) => name.length))
  const jaeger = urls.find(({ name }) => name === 'jaeger')?.url
  const look = `kubectl --context ${context} -n ${plan.namespace} get pods`
  const lines = [
    ...urls.map(({ name, url, answers }) => {
      const words = spokenBy(plan, (exposure) => exposure.name === name)
      return `${name.padEnd(width)}  ${url}${words && `  ${words}`}${answers ? '' : '  (does not answer yet)'}`
    }),
    ...(smoke && jaeger ? ['', `the order's trace: ${jaeger}/trace/${smoke.traceId}`] : []),
    '',
    ...plan.exposures.flatMap((exposure) => {
      const base = urls.find((one) => one.name === exposure.name)?.url
      return base ? curls(exposure, base) : []
    }),
    '',
    `bin/parley status --context ${context} · ${look} · bin/parley down --target kind`,
  ]
  const indented = lines.map((line) => (line === '' ? '' : `  ${line}`))
  return ['', `${plan.system} is ready after ${elapsed}.`, '', ...indented].join('\n')
}
