import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Plan } from '#plan/plan.ts'

/** Where one run of one system keeps its files and listens. A pure function of the plan and these options. */
export type LayoutOptions = {
  /** The folder of the checkout's local state, usually `.parley`. Absolute. */
  readonly stateDir: string
  /** The first three numbers of the run's own loopback network. Default `127.77.0`; each run at a time takes its own. */
  readonly subnet: string
  /** The address on which people reach the run. Default `127.0.0.1`. */
  readonly host: string
}

/** An address and a port. */
export type Endpoint = { readonly address: string; readonly port: number }

/** Where a service and its sidecar listen. Every `…Socket` is a path. */
export type ServiceSite = {
  /** Its address in the run's network, as a pod's address would be. */
  readonly address: string
  /** The sidecar, for other sidecars: mutual TLS. */
  readonly inbound: Endpoint
  /** The sidecar, for Prometheus: `/metrics` of the application and `/stats/prometheus` of Envoy. */
  readonly metrics: Endpoint
  /** The sidecar, for people outside; null for a service that is not exposed. */
  readonly edge: Endpoint | null
  /** The application's interface. */
  readonly appSocket: string
  /** The application's `/livez`, `/readyz` and `/metrics`. */
  readonly appAdminSocket: string
  /** The sidecar, for the application's calls to other services and to HTTP externals, told apart by authority. */
  readonly outboundSocket: string
  /** The sidecar, for the application's connections to TCP externals, by the external's name. */
  readonly egressSockets: Readonly<Record<string, string>>
  readonly envoyAdminSocket: string
  /** The sidecar's configuration and the dynamic files beside it. */
  readonly envoyDir: string
  readonly certs: CertFiles
}

/** The files of one identity, all readable by the owner alone. */
export type CertFiles = { readonly cert: string; readonly key: string; readonly authority: string }

/** Where everything of a run is. */
export type Layout = {
  readonly host: string
  readonly runDir: string
  readonly socketsDir: string
  readonly logsDir: string
  readonly certsDir: string
  readonly secretsDir: string
  readonly dataDir: string
  readonly services: Readonly<Record<string, ServiceSite>>
  /** Stand-ins of the systems outside. `web` is their page for people. */
  readonly externals: Readonly<
    Record<string, { readonly listen: Endpoint; readonly adminSocket: string; readonly web: Endpoint | null }>
  >
  readonly kafka: Endpoint & { readonly controllerPort: number }
  /** Postgres listens on `<socketDir>/.s.PGSQL.<port>` only. */
  readonly postgres: { readonly socketDir: string; readonly port: number }
  /** `port` speaks AMQP over TLS. The others are Erlang's own. */
  readonly rabbitmq: Endpoint & {
    readonly distributionPort: number
    readonly epmdPort: number
    readonly metricsPort: number
  }
  readonly prometheus: Endpoint
  readonly zipkin: Endpoint
}

const edgePort = 8080
/** A socket's path may hold 107 bytes; the longest name below the folder needs about 50 of them. */
const socketsDirBytesMax = 56

/** Lays a run out: the addresses 1 to 9 of its network belong to the parts, 10 onwards to the services in plan order, 200 onwards to stand-ins. */
export function layoutOf(plan: Plan, options: LayoutOptions): Layout {
  const { stateDir, subnet, host } = options
  const runDir = join(stateDir, 'runs', plan.system)
  const socketsDir = shortSocketsDir(runDir)
  const exposed = [...new Set(plan.exposures.map((exposure) => exposure.service))]
  const site = (name: string, index: number): ServiceSite => {
    const address = `${subnet}.${10 + index}`
    const socket = (file: string) => join(socketsDir, name, file)
    const tcp = plan.egress.filter((egress) => egress.from === name).map((egress) => egress.external)
    return {
      address,
      inbound: { address, port: 15006 },
      metrics: { address, port: 15090 },
      edge: exposed.includes(name) ? { address: host, port: edgePort + exposed.indexOf(name) } : null,
      appSocket: socket('app.sock'),
      appAdminSocket: socket('admin.sock'),
      outboundSocket: socket('out.sock'),
      egressSockets: Object.fromEntries(
        plan.externals
          .filter((e) => e.protocol === 'tcp' && tcp.includes(e.name))
          .map((e) => [e.name, socket(`${e.name}.sock`)]),
      ),
      envoyAdminSocket: socket('envoy.sock'),
      envoyDir: join(runDir, 'envoy', name),
      certs: certFiles(join(runDir, 'certs'), name),
    }
  }
  return {
    host,
    runDir,
    socketsDir,
    logsDir: join(runDir, 'logs'),
    certsDir: join(runDir, 'certs'),
    secretsDir: join(runDir, 'secrets'),
    dataDir: join(runDir, 'data'),
    services: Object.fromEntries(plan.services.map((service, index) => [service.name, site(service.name, index)])),
    externals: Object.fromEntries(
      plan.externals.map((external, index) => [
        external.name,
        {
          listen: { address: `${subnet}.${200 + index}`, port: 8080 },
          adminSocket: join(socketsDir, external.name, 'admin.sock'),
          web: external.standIn?.webPort ? { address: host, port: external.standIn.webPort } : null,
        },
      ]),
    ),
    kafka: { address: `${subnet}.2`, port: 9092, controllerPort: 9093 },
    postgres: { socketDir: join(socketsDir, 'postgres'), port: 5432 },
    rabbitmq: { address: `${subnet}.3`, port: 5671, distributionPort: 25672, epmdPort: 4369, metricsPort: 15692 },
    prometheus: { address: host, port: 9090 },
    zipkin: { address: host, port: 9411 },
  }
}

/** The files of one identity below the certificates' folder. Parts have identities too, such as `kafka`. */
export function certFiles(certsDir: string, name: string): CertFiles {
  const file = (ending: string) => join(certsDir, name, ending)
  return { cert: file('cert.pem'), key: file('key.pem'), authority: file('ca.pem') }
}

function shortSocketsDir(runDir: string): string {
  const wished = join(runDir, 's')
  if (Buffer.byteLength(wished) <= socketsDirBytesMax) return wished
  return join(tmpdir(), `parley-${createHash('sha256').update(wished).digest('hex').slice(0, 12)}`)
}
