import type { PlannedStore } from '#plan/plan.ts'
import type { ServiceSlice } from '#plan/slices.ts'
import { dataNames, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { ServicePart } from '../component.ts'
import { replicasMax, replicasOf, scales } from '../workloads/scaling.ts'
import { objectNameOf, objectOf } from './objects.ts'

const apiVersion = 'postgresql.cnpg.io/v1'
const component = 'database'

/** A service's databases, and the role that has them: a certificate, no password. */
export const postgresAccessPart: ServicePart = {
  wave: 'data',
  render: (site, slice) =>
    slice.stores.length === 0 ? [] : [role(site, slice), ...slice.stores.map((store) => database(site, store))],
}

/** All the replicas that a service may scale to, and one more: one that leaves and the one in its place meet for a moment. */
export function connectionLimit(site: Site, slice: ServiceSlice): number {
  const replicas = scales(site, slice) ? replicasMax(site, slice) : replicasOf(site, slice)
  return slice.stores.reduce((sum, { connectionsMax }) => sum + connectionsMax, 0) * (replicas + 1)
}

function role(site: Site, slice: ServiceSlice): Manifest {
  const { service } = slice
  return objectOf(site, {
    apiVersion,
    kind: 'DatabaseRole',
    name: service.name,
    component,
    fields: {
      spec: {
        cluster: { name: dataNames(site).postgres.cluster },
        name: service.name,
        login: true,
        disablePassword: true,
        clientCertificate: { enabled: true },
        connectionLimit: connectionLimit(site, slice),
        databaseRoleReclaimPolicy: 'retain',
      },
    },
  })
}

/**
 * The role owns its database, since only an owner may make schemas in it. It could open it to other roles; the lines of
 * `pg_hba.conf` would still let none of them in.
 */
function database(site: Site, store: PlannedStore): Manifest {
  return objectOf(site, {
    apiVersion,
    kind: 'Database',
    name: objectNameOf(store.database),
    component,
    fields: {
      spec: {
        cluster: { name: dataNames(site).postgres.cluster },
        name: store.database,
        owner: store.role,
        schemas: [{ name: 'public', owner: store.role }],
        databaseReclaimPolicy: site.environment === 'production' ? 'retain' : 'delete',
      },
    },
  })
}
