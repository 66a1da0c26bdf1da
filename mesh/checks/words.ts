import type { EnvironmentChange, EnvironmentName } from '#graph/environment.ts'
import type { Backoff, CallPolicy, EdgeRate, RateLimit, Redelivery } from '#graph/policy.ts'
import type { AskPolicy, WorkPolicy } from '#graph/queue.ts'
import type { ServiceSpec } from '#graph/service.ts'
import type { Start } from '#graph/start.ts'
import type { SystemBounds } from '#graph/system.ts'
import type { ConsumePolicy } from '#graph/topic.ts'

/** The words of one part of a declaration: true for a value, or the words that stand below it. */
export type Words = { readonly [word: string]: true | Words }

/** Every word of a type, none left out and none made up: the compiler refuses a list that has gone stale. */
type WordsOf<T> = {
  readonly [K in keyof T]-?: NonNullable<T[K]> extends string | number | boolean | readonly unknown[] | Start
    ? true
    : WordsOf<NonNullable<T[K]>>
}

export const backoffWords: WordsOf<Backoff> = { baseMs: true, maxMs: true }

const rateLimitWords: WordsOf<RateLimit> = { perSecond: true, burst: true }

export const edgeRateWords: WordsOf<EdgeRate> = {
  ...rateLimitWords,
  perClient: { ...rateLimitWords, clientsMax: true },
}

export const redeliveryWords: WordsOf<Redelivery> = { attempts: true, backoff: backoffWords }

export const callWords: WordsOf<CallPolicy> = {
  deadlineMs: true,
  idleMs: true,
  retry: {
    attempts: true,
    perTryTimeoutMs: true,
    on: true,
    backoff: backoffWords,
    budget: { percent: true, concurrentMin: true },
  },
  breaker: { failures: true, openMs: true },
  limits: { concurrentMax: true, pendingMax: true },
  fallback: true,
}

export const consumeWords: WordsOf<ConsumePolicy> = {
  group: true,
  concurrency: true,
  gatherMs: true,
  redelivery: redeliveryWords,
  deadLetter: true,
  idempotent: true,
  replayable: true,
}

export const workWords: WordsOf<WorkPolicy> = { prefetch: true }

export const askWords: WordsOf<AskPolicy> = { deadlineMs: true, inFlightMax: true }

export const serviceWords: WordsOf<ServiceSpec> = {
  exposes: true,
  owns: true,
  publishes: true,
  edges: true,
  start: true,
  replicas: true,
  resources: { cpuMillis: true, memoryMiB: true },
  objective: { availability: true, p99Ms: true },
  rateLimit: rateLimitWords,
  accepts: true,
}

export const boundsWords: WordsOf<SystemBounds> = {
  syncDownstreamMax: true,
  syncDepthMax: true,
  attemptsAtLeafMax: true,
}

const environmentWords: WordsOf<EnvironmentChange> = {
  replicas: true,
  brokers: true,
  topicPartitions: true,
  topicReplication: true,
  minInSyncReplicas: true,
  databaseInstances: true,
  queueNodes: true,
  storage: { brokerGiB: true, databaseGiB: true, queueGiB: true },
  traceSampling: true,
  trustDomain: true,
}

export const environmentsWords: WordsOf<Record<EnvironmentName, EnvironmentChange>> = {
  local: environmentWords,
  kind: environmentWords,
  production: environmentWords,
}
