/**
 * The plan: everything that follows from a declaration for one environment, as frozen plain data. It knows no vendor:
 * providers turn it into Envoy, Istio or Linkerd configuration, the local run into processes, cdk8s into objects.
 * Lists are sorted by name, so that equal declarations give byte-equal JSON.
 */
import type { EnvironmentName } from '#graph/environment.ts'
import type { StandIn } from '#graph/external.ts'
import type { Backoff, Breaker, RateLimit, RetryOn } from '#graph/policy.ts'
import type { Objective, Resources } from '#graph/service.ts'
import type { Start } from '#graph/start.ts'
import type { Alert } from './alerts.ts'
import type { Grants } from './grants.ts'

/** The whole plan. Version 1 of its shape. */
export type Plan = {
  readonly version: 1
  readonly system: string
  readonly environment: EnvironmentName
  readonly namespace: string
  readonly trustDomain: string
  readonly traceSampling: number
  readonly services: readonly PlannedService[]
  /** The synchronous edges, one link a caller and callee. */
  readonly links: readonly Link[]
  readonly egress: readonly Egress[]
  readonly externals: readonly PlannedExternal[]
  readonly exposures: readonly PlannedExposure[]
  readonly topics: readonly PlannedTopic[]
  readonly subscriptions: readonly Subscription[]
  readonly queues: readonly PlannedQueue[]
  readonly stores: readonly PlannedStore[]
  readonly sagas: readonly PlannedSaga[]
  readonly webhooks: readonly PlannedWebhook[]
  readonly grants: Grants
  readonly alerts: readonly Alert[]
  readonly brokers: { readonly count: number; readonly storageGiB: number }
  readonly queueNodes: { readonly count: number; readonly storageGiB: number }
}

/** Who a service is, to everything that asks: the mesh, Kafka, Postgres and RabbitMQ. */
export type Identity = {
  /** The service's name: its Kafka principal, its database role, its RabbitMQ user. */
  readonly name: string
  /** `spiffe://<trust domain>/ns/<namespace>/sa/<service>`. */
  readonly spiffe: string
}

/** How an interface is spoken. A service has one port a protocol. */
export type Protocol = 'grpc' | 'http'

/** A service as it will run. */
export type PlannedService = {
  readonly name: string
  readonly identity: Identity
  readonly start: Start
  readonly replicas: number
  readonly resources: Resources
  readonly objective: Objective
  /** The protocol its listener speaks; null where it exposes nothing. */
  readonly protocol: Protocol | null
  readonly apis: readonly PlannedApi[]
  readonly rateLimit: RateLimit | null
}

/** An interface that a service exposes. */
export type PlannedApi = {
  readonly name: string
  readonly kind: 'grpc' | 'rest' | 'graphql'
  readonly methods: readonly MethodRef[]
}

/** One method on the wire. For gRPC the path is exact; in a REST path `{x}` stands for one segment. */
export type MethodRef = {
  readonly name: string
  readonly verb: string
  readonly path: string
  readonly streaming: boolean
  /** There where the request itself is a stream. */
  readonly streamsIn?: true
}

/** Everything one caller may ask of one callee. */
export type Link = {
  readonly from: string
  readonly to: string
  readonly protocol: Protocol
  readonly breaker: Breaker
  readonly limits: { readonly concurrentMax: number; readonly pendingMax: number }
  /** One route an edge of the declaration, in its order. Each method is in exactly one. */
  readonly routes: readonly LinkRoute[]
}

/** Methods that share a deadline and a retry policy. */
export type LinkRoute = {
  readonly api: string
  readonly methods: readonly MethodRef[]
  /** The whole call; of streams their life. */
  readonly deadlineMs: number
  /** The longest silence on a stream; null for calls with one request and one answer. */
  readonly idleMs: number | null
  readonly retry: PlannedRetry | null
  readonly fallback: boolean
}

/** A retry policy in full. `attempts` counts the first one. */
export type PlannedRetry = {
  readonly attempts: number
  readonly perTryTimeoutMs: number
  readonly on: readonly RetryOn[]
  readonly backoff: Backoff
  readonly budget: { readonly percent: number; readonly concurrentMin: number }
}

/** A system outside. */
export type PlannedExternal = {
  readonly name: string
  readonly protocol: 'http' | 'tcp'
  readonly host: string
  readonly port: number
  readonly tls: boolean
  readonly routes: readonly MethodRef[]
  readonly expectedLatencyMs: number
  readonly standIn: StandIn | null
}

/** What one service may ask of one system outside. */
export type Egress = {
  readonly from: string
  readonly external: string
  readonly deadlineMs: number
  readonly retry: PlannedRetry | null
  readonly breaker: Breaker
  readonly limits: { readonly concurrentMax: number; readonly pendingMax: number }
}

/** A way in from outside. */
export type PlannedExposure = {
  readonly name: string
  readonly service: string
  readonly api: string
  /** Everything that may be asked from outside: the methods that are open and, for REST, the interface's own description. */
  readonly methods: readonly MethodRef[]
  readonly client: 'browser' | 'machine'
  readonly grpcWeb: boolean
  /** Pages of which other origins may call: exact, or `*` for any. In production none of the visitor's own machine. */
  readonly origins: readonly string[]
  readonly host: string
  /** The versions that are open, the oldest first; none where the interface has no versions. */
  readonly versions: readonly PlannedVersion[]
  readonly rateLimit: PlannedEdgeRate | null
  readonly authentication:
    | { readonly kind: 'none' }
    | { readonly kind: 'jwt'; readonly issuer: string; readonly audience: string }
  readonly bodyBytesMax: number | null
  readonly deadlineMs: number
  /** The life of a stream, where methods stream. */
  readonly streamDeadlineMs: number
}

/** The rate of a way in, and of that the rate of each client. */
export type PlannedEdgeRate = RateLimit & { readonly perClient: (RateLimit & { readonly clientsMax: number }) | null }

/** A version of an interface, with the day since when it should not be used, and that from which it is not served. */
export type PlannedVersion = {
  readonly name: string
  readonly deprecated: string | null
  readonly sunset: string | null
}

/** A topic of the broker. `kind: deadLetter` ones belong to a consumer group and follow from its subscription. */
export type PlannedTopic = {
  readonly name: string
  readonly kind: 'events' | 'deadLetter'
  /** The only service that may write it. */
  readonly owner: string
  readonly partitions: number
  readonly replication: number
  readonly minInSyncReplicas: number
  readonly retentionMs: number
  /** Full names of the messages; empty for a dead letter, which carries whatever failed. */
  readonly messages: readonly string[]
  readonly key: string | null
}

/** A consumer group on a topic. */
export type Subscription = {
  readonly service: string
  readonly topic: string
  readonly group: string
  readonly messages: readonly string[]
  readonly concurrency: number
  readonly gatherMs: number
  readonly attempts: number
  readonly backoff: Backoff
  /** The topic for what could not be handled; null drops it. */
  readonly deadLetterTopic: string | null
  readonly idempotent: boolean
  readonly replayable: boolean
}

/** A queue, who works it, and who may put something in. */
export type PlannedQueue = {
  readonly name: string
  readonly worker: string
  readonly senders: readonly string[]
  readonly askers: readonly { readonly service: string; readonly deadlineMs: number; readonly inFlightMax: number }[]
  readonly messages: readonly string[]
  /** Full name of the answer; null for a queue of tasks. */
  readonly replies: string | null
  readonly prefetch: number
  /** Deliveries before a task becomes a dead letter. */
  readonly deliveryLimit: number
  readonly backoff: Backoff
  readonly lengthMax: number
  /** The queue for what could not be done; null drops it. */
  readonly deadLetterQueue: string | null
}

/** A database with the one role that may use it. */
export type PlannedStore = {
  readonly owner: string
  readonly database: string
  readonly role: string
  readonly connectionsMax: number
  readonly instances: number
  readonly storageGiB: number
}

/** A saga, with its steps by name. */
export type PlannedSaga = {
  readonly name: string
  readonly style: 'choreography' | 'orchestration'
  readonly owner: string
  readonly steps: readonly {
    readonly name: string
    readonly service: string
    readonly on: string | null
    readonly does: string
    readonly refuses: string | null
    readonly compensation: { readonly on: readonly string[]; readonly does: string | null } | null
    /** The queue on which the step is asked for; null where it is by an event or a call. */
    readonly via: string | null
  }[]
  /** The queue on which the owner is answered; null where nobody answers it so. */
  readonly replies: string | null
  readonly pointOfNoReturn: string
  readonly timeoutMs: number
}

/** Callbacks that a service delivers to subscribers outside. */
export type PlannedWebhook = {
  readonly name: string
  readonly service: string
  readonly topic: string
  readonly messages: readonly string[]
  readonly signed: boolean
  readonly timeoutMs: number
  readonly attempts: number
  readonly backoff: Backoff
  readonly concurrentPerEndpointMax: number
}
