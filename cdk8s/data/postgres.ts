import type { Plan } from '#plan/plan.ts'
import { slicesOf } from '#plan/slices.ts'
import { dataNames, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { SystemPart } from '../component.ts'
import { pods, podsIn, prometheus, tcp } from '../policies/peers.ts'
import { anywhere, dataNetwork, dnsOpening, kubernetesApi, type Opening, servicePeers } from './network.ts'
import { classOf, objectOf, outOfMesh, resourcesOf } from './objects.ts'
import { connectionLimit } from './postgres-access.ts'

const apiVersion = 'postgresql.cnpg.io/v1'
const component = 'database'
/** The image that this operator's release was tried with, with the tools that backups need. */
const image = 'ghcr.io/cloudnative-pg/postgresql:18.4-system-trixie'
/** Connections beyond those of services: replication, the operator, people. */
const connectionsSpare = 20
const ports = { status: 8000, metrics: 9187 } as const

/** Postgres by CloudNativePG: the cluster, its backups and its network. Nothing where the plan has no store. */
export const postgres: SystemPart = {
  wave: 'data',
  name: 'system.postgres',
  render: (site, plan) =>
    plan.stores.length === 0 ? [] : [cluster(site, plan), ...scheduledBackup(site), network(site, plan)],
}

/**
 * Who may connect to what: each role to its own database, with the certificate that its DatabaseRole was given, over TLS.
 * The lines come after the operator's own, for itself and for replicas, and before its default, which the last one shuts.
 */
function postgresAccess({ grants }: Pick<Plan, 'grants'>): readonly string[] {
  return [
    ...grants.databases.map(({ database, service }) => `hostssl "${database}" "${service}" all cert`),
    'host all all all reject',
  ]
}

function cluster(site: Site, plan: Plan): Manifest {
  const instances = Math.max(...plan.stores.map((store) => store.instances))
  const production = site.environment === 'production'
  return objectOf(site, {
    apiVersion,
    kind: 'Cluster',
    name: dataNames(site).postgres.cluster,
    component,
    fields: {
      spec: {
        instances,
        imageName: image,
        ...(site.settings.imagePullSecrets.length > 0
          ? { imagePullSecrets: site.settings.imagePullSecrets.map((name) => ({ name })) }
          : {}),
        inheritedMetadata: outOfMesh,
        bootstrap: { initdb: { dataChecksums: true, encoding: 'UTF8' } },
        enableSuperuserAccess: false,
        // A lone instance with a budget would keep its node from being drained for ever.
        enablePDB: instances > 1,
        postgresql: {
          parameters: parameters(site, plan),
          pg_hba: postgresAccess(plan),
          ...(instances >= 3 ? { synchronous } : {}),
        },
        // Services write; nobody has asked for reading what is a little old.
        managed: { services: { disabledDefaultServices: ['ro', 'r'] } },
        storage: volume(
          site,
          plan.stores.reduce((sum, { storageGiB }) => sum + storageGiB, 0),
        ),
        ...(production ? { walStorage: volume(site, 20) } : {}),
        resources: production ? resourcesOf('1', '4Gi') : resourcesOf('100m', '512Mi'),
        affinity: {
          enablePodAntiAffinity: true,
          topologyKey: 'kubernetes.io/hostname',
          podAntiAffinityType: production ? 'required' : 'preferred',
        },
        ...backup(site),
      },
    },
  })
}

/** A commit is there on another instance before it is acknowledged, and only an instance that has it may take over. */
const synchronous = { method: 'any', number: 1, dataDurability: 'required', failoverQuorum: true } as const

function parameters(site: Site, plan: Plan): Readonly<Record<string, string>> {
  const clients = [...slicesOf(plan).values()].reduce((sum, slice) => sum + connectionLimit(site, slice), 0)
  return {
    log_timezone: 'UTC',
    max_connections: String(clients + connectionsSpare),
    shared_buffers: site.environment === 'production' ? '1GB' : '128MB',
    ssl_min_protocol_version: 'TLSv1.3',
    timezone: 'UTC',
  }
}

function volume(site: Site, gib: number) {
  return { size: `${gib}Gi`, ...classOf(site, 'storageClass') }
}

/**
 * To an object store, by the operator's own means: deprecated in favour of a plugin that is one more operator with a
 * resource of its own, and served and supported by this release.
 */
function backup({ settings }: Site) {
  if (!settings.backup) return {}
  const { destination, endpoint, secret, retention } = settings.backup
  const key = (name: string) => ({ name: secret, key: name })
  return {
    backup: {
      barmanObjectStore: {
        destinationPath: destination,
        ...(endpoint ? { endpointURL: endpoint } : {}),
        s3Credentials: { accessKeyId: key('ACCESS_KEY_ID'), secretAccessKey: key('ACCESS_SECRET_KEY') },
        data: { compression: 'gzip' },
        wal: { compression: 'gzip' },
      },
      retentionPolicy: retention,
      target: 'prefer-standby',
    },
  }
}

function scheduledBackup(site: Site): readonly Manifest[] {
  const { backup: to } = site.settings
  const name = dataNames(site).postgres.cluster
  if (!to) return []
  return [
    objectOf(site, {
      ...{ apiVersion, kind: 'ScheduledBackup', name, component },
      fields: {
        spec: {
          cluster: { name },
          schedule: to.schedule,
          method: 'barmanObjectStore',
          immediate: true,
          backupOwnerReference: 'self',
        },
      },
    }),
  ]
}

function network(site: Site, plan: Plan): Manifest {
  const { cluster: name, selector, port } = dataNames(site).postgres
  const clients = [...new Set(plan.grants.databases.map(({ service }) => service))]
  const instances = pods(selector)
  const operator = podsIn('cnpg-system', { 'app.kubernetes.io/name': 'cloudnative-pg' })
  return dataNetwork(
    site,
    { name, component, selector },
    {
      ingress: [
        { peers: servicePeers(clients), ports: tcp(port) },
        { peers: [instances, operator], ports: tcp(port, ports.status) },
        { peers: [prometheus], ports: tcp(ports.metrics) },
      ],
      // Each instance asks the Kubernetes API what it is to be.
      egress: [
        { peers: [instances], ports: tcp(port, ports.status) },
        dnsOpening,
        kubernetesApi(site),
        ...objectStore(site),
      ],
    },
  )
}

/** Where archives go: an address that only its own DNS knows, at the port that the settings name. */
function objectStore({ settings: { backup: to } }: Site): readonly Opening[] {
  if (to === null) return []
  const port = to.endpoint === null ? undefined : /^https:\/\/[^/:]+:([0-9]+)/.exec(to.endpoint)?.[1]
  return [{ peers: anywhere, ports: tcp(Number(port ?? 443)) }]
}
