import { openConnection } from '#mesh/cluster/connection.ts'
import { meshOn } from '#mesh/cluster/mesh-status.ts'
import { type ClusterStatus, statusOf } from '#mesh/cluster/status.ts'
import { derive } from '#plan/derive.ts'
import { environmentOn } from './cluster-inputs.ts'
import { meshName, settingsFor } from './environments.ts'
import { exitCodes } from './exit.ts'
import { loadSystem } from './load.ts'
import { print } from './output.ts'
import { table } from './table.ts'
import { kindContext } from './up-kind.ts'

/** What `parley status` may be told about a cluster. */
export type ClusterStatusOptions = {
  readonly system?: string
  readonly context?: string
  readonly target?: string
  readonly environment?: string
  readonly mesh?: string
  readonly json?: boolean
}

/** Shows a system on a cluster beside its declaration; exits with 3 where something is not as declared. Throws UsageError, WrongContext, ClusterError. */
export async function showClusterStatus(options: ClusterStatusOptions): Promise<void> {
  const { system } = await loadSystem(options.system)
  const connection = openConnection(options.context ?? kindContext())
  const environment = environmentOn(connection.context, options.environment)
  const plan = derive(system, environment)
  const mesh = options.mesh === undefined ? await meshOn(connection, plan.namespace) : meshName(options.mesh)
  const status = mesh && (await statusOf(connection, { plan, mesh, settings: settingsFor(environment) }))
  if (!status) {
    print(`${plan.system} is not on ${connection.context}. Apply it: bin/parley apply --context ${connection.context}`)
    process.exitCode = exitCodes.failed
    return
  }
  print(options.json ? JSON.stringify(status, null, 2) : statusText(status))
  if (!isAsDeclared(status)) process.exitCode = exitCodes.failed
}

function isAsDeclared({ drifts, mtls, mesh, proxies, workloads }: ClusterStatus): boolean {
  const meshed = mesh === 'none' || mtls.strict !== false
  return meshed && drifts.length === 0 && proxies.behind.length === 0 && workloads.every(({ ready }) => ready)
}

function statusText(status: ClusterStatus): string {
  const { context, system, mesh, edges, drifts, mtls, workloads } = status
  const open = workloads.filter(({ ready }) => !ready)
  return [
    `${system} on ${context}, ${mesh === 'none' ? 'no mesh' : mesh}: ${workloads.length - open.length} of ${workloads.length} parts are ready`,
    ...section(
      'not ready',
      open.map(({ name, reason }) => [name, reason]),
    ),
    ...section(
      'edges',
      edges.map(({ from, to, what, policy }) => [`${from} → ${to}`, what, policy || 'as declared']),
    ),
    ...section(
      'policies that are not as declared',
      drifts.map(({ object, what }) => [object, what]),
    ),
    ...section('mesh', [
      ['mutual TLS', mtls.strict === null ? mtls.detail : `${mtls.strict ? 'strict' : 'not strict'} (${mtls.detail})`],
      ['proxies', proxyWords(status)],
    ]),
    ...section('lag', lagRows(status)),
  ].join('\n')
}

function section(title: string, rows: readonly (readonly string[])[]): readonly string[] {
  return rows.length === 0 ? [] : ['', title, ...table(rows)]
}

function proxyWords({ proxies: { known, inSync, behind, detail } }: ClusterStatus): string {
  if (!known) return detail
  if (behind.length === 0) return detail || `${inSync.length} in sync`
  return `${inSync.length} in sync, ${behind.length} behind: ${behind.map(({ pod, what }) => `${pod} (${what})`).join(', ')}`
}

function lagRows({ lag, lagUnknown }: ClusterStatus): readonly (readonly string[])[] {
  if (lag === null) return [[lagUnknown ?? 'not known']]
  return lag.map(({ service, topic, events }) => [`${service} ← ${topic}`, `${events} events`])
}
