import type { Fault } from '#plan/fault.ts'
import type { Link, Plan } from '#plan/plan.ts'
import type { NotSupported } from '#providers/manifest.ts'
import { bootstrap } from './bootstrap.ts'
import { capabilities } from './capabilities.ts'
import { clusters } from './clusters.ts'
import type { Config } from './config.ts'
import { edgeRoutes } from './edge.ts'
import { listeners } from './listeners.ts'
import { authoritySecret, certificateSecret } from './mtls.ts'
import { inboundRoutes, outboundRoutes } from './routes.ts'
import type { EnvoySite } from './site.ts'

/** A sidecar's files, by name, each to be written as JSON. Only `bootstrap.json` needs a restart to change. */
export type EnvoyFiles = Readonly<Record<string, Config>>

/**
 * Renders the sidecar of one service: a bootstrap that points to files, and the files it points to, which Envoy reads
 * again when they are moved into place. The order is the one to write them in: what is referred to comes first.
 */
export function render(plan: Plan, service: string, site: EnvoySite, faults: readonly Fault[] = []): EnvoyFiles {
  return {
    'certificate.json': resources(certificateSecret(site.certificates)),
    'authority.json': resources(authoritySecret(site.certificates)),
    'clusters.json': resources(...clusters(plan, service, site)),
    'outbound.json': resources(outboundRoutes(plan, service, faults)),
    'inbound.json': resources(inboundRoutes(plan, service, faults)),
    ...(site.edge ? { 'edge.json': resources(edgeRoutes(plan, service)) } : {}),
    'listeners.json': resources(...listeners(plan, service, site)),
    'bootstrap.json': bootstrap(plan, service, site),
  }
}

/** Lists what of a plan these sidecars do not do, to be printed where they are rendered. */
export function notSupported(plan: Plan): readonly NotSupported[] {
  const tokens = plan.exposures
    .filter((exposure) => exposure.authentication.kind === 'jwt')
    .map((exposure) => ({
      where: `exposure ${exposure.name}`,
      what: 'authentication by token',
      reason: capabilities.tokens.notSupported,
    }))
  const subscribers = plan.webhooks.map(({ name, service }) => ({
    where: `webhooks ${name} of ${service}`,
    what: 'bounding them beside the application',
    reason: capabilities.egress.but.subscribers,
  }))
  return [...plan.links.flatMap(mixedBudgets), ...tokens, ...subscribers]
}

function mixedBudgets({ from, to, routes }: Link): readonly NotSupported[] {
  const budgets = routes.flatMap(({ retry }) =>
    retry ? [`${retry.budget.percent} ${retry.budget.concurrentMin}`] : [],
  )
  if (new Set(budgets).size < 2) return []
  const reason = capabilities.retryBudget.but.shared
  return [{ where: `calls of ${from} to ${to}`, what: 'a retry budget of each edge', reason }]
}

function resources(...list: readonly Config[]): Config {
  return { resources: list }
}
