import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Fault } from '#plan/fault.ts'
import type { Plan } from '#plan/plan.ts'
import { render, watchedFiles } from '#providers/envoy/render.ts'
import type { EnvoySite } from '#providers/envoy/site.ts'
import type { Layout } from './layout.ts'

/**
 * Writes the configuration of a service's sidecar into `layout.services[service].envoyDir`, each file moved into place
 * whole, so that a running Envoy takes a change without a restart. Files that would not change are left alone. Makes the
 * folders of its sockets (0700). The certificates must be there before Envoy starts (`ensureCertificates`).
 */
export async function sidecarFiles(
  plan: Plan,
  layout: Layout,
  service: string,
  faults: readonly Fault[] = [],
): Promise<void> {
  const site = envoySite(plan, layout, service)
  const sockets = [site.adminSocket, site.outboundSocket, site.appSocket, ...Object.values(site.egressSockets)]
  const folders = new Set([site.dir, ...sockets.map((socket) => dirname(socket))])
  await Promise.all([...folders].map((folder) => mkdir(folder, { recursive: true, mode: 0o700 })))
  // One after the other, in the order given: what a file refers to is there before it.
  for (const [name, config] of Object.entries(render(plan, service, site, faults)))
    await moveIntoPlace(join(site.dir, name), `${JSON.stringify(config, null, 2)}\n`)
}

/**
 * The command line of a service's sidecar. It is ready when `GET /ready` on its admin socket (`envoyAdminSocket`)
 * answers 200; SIGTERM ends it at once. `envoy` is the binary's path.
 */
export function envoyCommand(envoy: string, layout: Layout, service: string): readonly string[] {
  return [
    envoy,
    ...['--config-path', join(siteOf(layout, service).envoyDir, 'bootstrap.json')],
    ...['--concurrency', '1'],
    ...['--log-level', 'warning'],
    // It warns on every update of a field that it calls deprecated (see `deadline` in the provider).
    ...['--component-log-level', 'misc:error'],
    '--disable-hot-restart',
    ...['--drain-time-s', '5'],
  ]
}

/** The inotify instances that a service's sidecar will hold. */
export function inotifyInstances(plan: Plan, layout: Layout, service: string): number {
  return watchedFiles(render(plan, service, envoySite(plan, layout, service))).size
}

/** What the provider needs to know of a run. Stand-ins take their system's place, without TLS. */
export function envoySite(plan: Plan, layout: Layout, service: string): EnvoySite {
  const site = siteOf(layout, service)
  const externals = plan.externals.map(({ name, host, port, tls, standIn }) => {
    const listen = layout.externals[name]?.listen
    return [name, standIn && listen ? { ...listen, tls: false } : { address: host, port, tls }] as const
  })
  return {
    dir: site.envoyDir,
    inbound: site.inbound,
    metrics: site.metrics,
    edge: site.edge,
    appSocket: site.appSocket,
    appAdminSocket: site.appAdminSocket,
    outboundSocket: site.outboundSocket,
    egressSockets: site.egressSockets,
    adminSocket: site.envoyAdminSocket,
    certificatesDir: dirname(site.certs.cert),
    services: Object.fromEntries(Object.entries(layout.services).map(([name, one]) => [name, one.inbound])),
    externals: Object.fromEntries(externals),
    publicAuthorities: '/etc/ssl/certs/ca-certificates.crt',
  }
}

function siteOf(layout: Layout, service: string): Layout['services'][string] {
  const site = layout.services[service]
  if (!site) throw new Error(`the layout has no service ${service}; it has ${Object.keys(layout.services).join(', ')}`)
  return site
}

async function moveIntoPlace(path: string, content: string): Promise<void> {
  const before = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (before === content) return
  await writeFile(`${path}.new`, content, { mode: 0o600 })
  await rename(`${path}.new`, path)
}
