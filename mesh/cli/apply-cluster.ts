import { render } from '#cdk8s/render.ts'
import type { SystemNode } from '#graph/system.ts'
import { openConnection } from '#mesh/cluster/connection.ts'
import { deploy } from '#mesh/cluster/deploy.ts'
import { deployedWords, deployTeller } from '#mesh/cluster/up.ts'
import { waitDefaults } from '#mesh/cluster/wait.ts'
import { derive } from '#plan/derive.ts'
import type { ApplyOptions } from './apply.ts'
import { environmentOn, meshOr } from './cluster-inputs.ts'
import { clusterReporter, interruptedBySignals } from './cluster-progress.ts'
import { settingsFor } from './environments.ts'
import { UsageError } from './exit.ts'
import { gapsOf, unpinned } from './notices.ts'
import { print } from './output.ts'
import { openProgress } from './progress.ts'

/** Applies a checked system to the cluster of a context. Throws UsageError, WrongContext, ClusterError. */
export async function applyToCluster(system: SystemNode, options: ApplyOptions): Promise<void> {
  const mesh = meshOr(options.mesh)
  const progress = openProgress(process.stdout)
  const interrupt = interruptedBySignals(() => progress.say('Stopping; what is applied stays …'))
  const { signal } = interrupt
  const connection = openConnection(options.context, { signal })
  const environment = environmentOn(connection.context, options.environment)
  const plan = derive(system, environment)
  const { dryRun = false, prune = false, wait = true } = options
  const settings = settingsFor(environment, options.settings)
  const components = render(plan, mesh, settings)
  const tagged = unpinned(environment, settings, options.settings)
  if (tagged && !dryRun) throw new UsageError(`${tagged}\nNothing was applied.`)
  for (const line of gapsOf(plan, mesh, settings)) process.stderr.write(`not supported: ${line}\n`)
  if (tagged) process.stderr.write(`${tagged}\n`)
  progress.say(
    `${plan.system} for ${environment} with ${mesh === 'none' ? 'no mesh' : mesh} on ${connection.context}${dryRun ? ', dry run' : ''}`,
  )
  const result = await deploy(connection, {
    system: plan.system,
    components,
    dryRun,
    prune,
    wait: wait ? { ...waitDefaults, signal } : null,
    report: deployTeller(clusterReporter(progress)),
  }).finally(() => progress.end())
  const words = deployedWords(result)
  print(
    dryRun
      ? `Everything passes: ${words}. Nothing was written.`
      : `${plan.system} is applied${wait ? ' and ready' : ''}: ${words}.`,
  )
}
