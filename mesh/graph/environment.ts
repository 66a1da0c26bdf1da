/** Where a system runs. */
export type EnvironmentName = 'local' | 'kind' | 'production'

/** The few things that differ between environments. */
export type Environment = {
  readonly name: EnvironmentName
  /** Replicas of a service that does not say its own number. */
  readonly replicas: number
  readonly brokers: number
  readonly topicPartitions: number
  readonly topicReplication: number
  readonly minInSyncReplicas: number
  readonly databaseInstances: number
  readonly queueNodes: number
  readonly storage: { readonly brokerGiB: number; readonly databaseGiB: number; readonly queueGiB: number }
  /** The share of traces that is kept, 0 to 1. */
  readonly traceSampling: number
  /** The domain of the identities; Istio's and Linkerd's default on clusters. */
  readonly trustDomain: string
}

const small = {
  replicas: 1,
  brokers: 1,
  topicPartitions: 3,
  topicReplication: 1,
  minInSyncReplicas: 1,
  databaseInstances: 1,
  queueNodes: 1,
  storage: { brokerGiB: 1, databaseGiB: 1, queueGiB: 1 },
  traceSampling: 1,
  trustDomain: 'cluster.local',
} as const

/** The environments as they are when a system says nothing. */
export const environments: Readonly<Record<EnvironmentName, Environment>> = {
  local: { name: 'local', ...small },
  kind: { name: 'kind', ...small },
  production: {
    ...small,
    name: 'production',
    replicas: 2,
    brokers: 3,
    topicPartitions: 6,
    topicReplication: 3,
    minInSyncReplicas: 2,
    databaseInstances: 3,
    queueNodes: 3,
    storage: { brokerGiB: 100, databaseGiB: 50, queueGiB: 20 },
    traceSampling: 0.05,
  },
}

/** What a system changes of an environment. */
export type EnvironmentChange = Partial<Omit<Environment, 'name' | 'storage'>> & {
  readonly storage?: Partial<Environment['storage']>
}

/** An environment with a system's changes laid over it. */
export function environment(name: EnvironmentName, change: EnvironmentChange = {}): Environment {
  const base = environments[name]
  return { ...base, ...change, storage: { ...base.storage, ...change.storage } }
}
