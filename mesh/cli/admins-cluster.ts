import { RunFailure } from '#local/supervisor/failure.ts'
import type { AskAdmin } from '#mesh/admin/ask.ts'
import { adminsOnCluster } from '#mesh/cluster/admins.ts'
import { openConnection } from '#mesh/cluster/connection.ts'
import { ClusterError } from '#mesh/cluster/failure.ts'
import { derive } from '#plan/derive.ts'
import type { Plan } from '#plan/plan.ts'
import type { AdminOptions, Admins } from './admins.ts'
import { environmentOn } from './cluster-inputs.ts'
import { loadSystem } from './load.ts'
import { kindContext } from './up-kind.ts'

/** The services of a system on a cluster. Throws UsageError, WrongContext. */
export async function clusterAdmins(options: AdminOptions): Promise<Admins> {
  const { connection, plan } = await onCluster(options)
  return new Map([...adminsOnCluster(connection, plan)].map(([name, ask]) => [name, asOfRun(ask)]))
}

/** The plan of a system as it is on a cluster. Throws like `clusterAdmins`. */
export async function clusterPlan(options: AdminOptions): Promise<Plan> {
  return (await onCluster(options)).plan
}

async function onCluster({ system: file, context, environment }: AdminOptions) {
  const { system } = await loadSystem(file)
  const connection = openConnection(context ?? kindContext())
  return { connection, plan: derive(system, environmentOn(connection.context, environment)) }
}

/** A service that cannot be asked is the same to whoever asks, wherever it is. */
function asOfRun(ask: AskAdmin): AskAdmin {
  return async (...asked) => {
    try {
      return await ask(...asked)
    } catch (error) {
      throw error instanceof ClusterError ? new RunFailure(error.message, { cause: error }) : error
    }
  }
}
