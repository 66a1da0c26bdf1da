import type { Command } from 'commander'
import { checkSystem } from '#checks/check.ts'
import { reportText } from '#checks/report.ts'
import { exitCodes } from './exit.ts'
import { loadSystem } from './load.ts'
import { systemOption } from './output.ts'

/** What `parley apply` may be told. */
export type ApplyOptions = {
  readonly system?: string
  readonly context?: string
  readonly environment?: string
  readonly mesh?: string
  readonly settings?: string
  readonly dryRun?: boolean
  readonly prune?: boolean
  readonly wait?: boolean
}

/** `parley apply`: applies a system to the cluster of a kubeconfig. Exits with 1 for findings, 2 for wrong use, 3 when it fails. */
export function applyCommand(program: Command): void {
  program
    .command('apply')
    .description('apply the system to a cluster, wave by wave, and wait until it is ready')
    .option(...systemOption)
    .option('--context <context>', 'of the kubeconfig (default: the current one)')
    .option('--environment <name>', 'kind or production (default: kind on a context of kind, otherwise production)')
    .option('--mesh <mesh>', 'istio, linkerd or none (default: istio)')
    .option('--settings <file>', 'image, hosts, classes (default: charts/settings/<environment>.yaml)')
    .option('--dry-run', 'let the server check everything, and write nothing')
    .option('--prune', 'remove what is no longer declared; what holds data is only named')
    .option('--no-wait', 'apply everything without waiting for anything')
    .action(async (options: ApplyOptions) => {
      const loaded = await loadSystem(options.system)
      const report = checkSystem(loaded.system)
      if (report.findings.length > 0) {
        process.stderr.write(`${reportText(report)}\nNothing was applied.\n`)
        process.exitCode = exitCodes.findings
        return
      }
      // The client of Kubernetes takes a second to load, which no other command need wait for.
      await (await import('./apply-cluster.ts')).applyToCluster(loaded.system, options)
    })
}
