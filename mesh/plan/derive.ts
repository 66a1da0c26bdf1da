import { type EnvironmentName, environment } from '#graph/environment.ts'
import type { SystemNode } from '#graph/system.ts'
import { deriveAlerts } from './alerts.ts'
import { freeze } from './freeze.ts'
import { deriveGrants } from './grants.ts'
import { deriveEgress, deriveExternals, deriveLinks } from './links.ts'
import { deriveQueues, deriveSubscriptions, deriveTopics, deriveWebhooks } from './messaging.ts'
import type { Plan } from './plan.ts'
import { deriveSagas } from './sagas.ts'
import { deriveExposures, deriveServices, deriveStores } from './services.ts'

/**
 * Derives the plan of a system for one environment. Pure: equal declarations give byte-equal JSON. It expects a system
 * that passed the checks; where something has no meaning, such as a call that nobody answers, it is left out.
 */
export function derive(system: SystemNode, name: EnvironmentName): Plan {
  const env = environment(name, system.environments[name])
  const topics = deriveTopics(system, env)
  const parts = {
    services: deriveServices(system, env),
    links: deriveLinks(system),
    egress: deriveEgress(system),
    externals: deriveExternals(system),
    exposures: deriveExposures(system, env),
    topics,
    subscriptions: deriveSubscriptions(system),
    queues: deriveQueues(system),
    stores: deriveStores(system, env),
    sagas: deriveSagas(system),
    webhooks: deriveWebhooks(system),
  }
  return freeze({
    version: 1,
    system: system.name,
    environment: name,
    namespace: system.name,
    trustDomain: env.trustDomain,
    traceSampling: env.traceSampling,
    ...parts,
    grants: deriveGrants(parts),
    alerts: deriveAlerts(parts),
    brokers: { count: env.brokers, storageGiB: env.storage.brokerGiB },
    queueNodes: { count: env.queueNodes, storageGiB: env.storage.queueGiB },
  })
}
