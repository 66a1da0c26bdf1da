import type { Fault } from '#plan/fault.ts'
import type { Link, Plan } from '#plan/plan.ts'
import type { NotSupported } from '#providers/manifest.ts'
import { bootstrap } from './bootstrap.ts'
import { capabilities } from './capabilities.ts'
import { type Config, typed } from './config.ts'
import { inboundRoutes, outboundRoutes } from './routes.ts'
import type { EnvoySite } from './site.ts'

/** A sidecar's files, by name, each to be written as JSON. Only `bootstrap.json` needs a restart to change. */
export type EnvoyFiles = Readonly<Record<string, Config>>

/**
 * Renders the sidecar of one service: a bootstrap, and the routes that faults change, which Envoy reads again when they are
 * moved into place. What only another declaration changes is in the bootstrap itself: each file that Envoy watches costs
 * one of its user's inotify instances. The order is the one to write them in: what is referred to comes first.
 */
export function render(plan: Plan, service: string, site: EnvoySite, faults: readonly Fault[] = []): EnvoyFiles {
  return {
    'outbound.json': routesFile(outboundRoutes(plan, service, faults)),
    'inbound.json': routesFile(inboundRoutes(plan, service, faults)),
    'bootstrap.json': bootstrap(plan, service, site),
  }
}

/** The files that a sidecar of this bootstrap watches: routes, its certificate, its authorities. Each takes one inotify instance. */
export function watchedFiles({ 'bootstrap.json': bootstrap }: EnvoyFiles): ReadonlySet<string> {
  const paths = JSON.stringify(bootstrap).matchAll(/"path_config_source":\{"path":("[^"]+")/g)
  return new Set([...paths].map(([, path = '""']) => JSON.parse(path) as string))
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

function routesFile(routes: Config): Config {
  return { resources: [typed('config.route.v3.RouteConfiguration', routes)] }
}
