import { KafkaError, type KafkaErrorCode } from './port.ts'

/** What the broker or Node call a failure → what the port calls it. */
const codes: Readonly<Record<string, KafkaErrorCode>> = {
  TOPIC_AUTHORIZATION_FAILED: 'NOT_AUTHORIZED',
  GROUP_AUTHORIZATION_FAILED: 'NOT_AUTHORIZED',
  CLUSTER_AUTHORIZATION_FAILED: 'NOT_AUTHORIZED',
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 'NOT_AUTHORIZED',
  UNKNOWN_TOPIC_OR_PARTITION: 'UNKNOWN_TOPIC',
  UNKNOWN_TOPIC_ID: 'UNKNOWN_TOPIC',
  INVALID_TOPIC_EXCEPTION: 'UNKNOWN_TOPIC',
  MESSAGE_TOO_LARGE: 'RECORD_TOO_LARGE',
  RECORD_LIST_TOO_LARGE: 'RECORD_TOO_LARGE',
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'PRODUCER_STATE_LOST',
  DUPLICATE_SEQUENCE_NUMBER: 'PRODUCER_STATE_LOST',
  INVALID_PRODUCER_EPOCH: 'PRODUCER_STATE_LOST',
  PRODUCER_FENCED: 'PRODUCER_STATE_LOST',
  UNKNOWN_PRODUCER_ID: 'PRODUCER_STATE_LOST',
  REBALANCE_IN_PROGRESS: 'NOT_A_MEMBER',
  ILLEGAL_GENERATION: 'NOT_A_MEMBER',
  UNKNOWN_MEMBER_ID: 'NOT_A_MEMBER',
  FENCED_INSTANCE_ID: 'NOT_A_MEMBER',
  NOT_COORDINATOR: 'UNAVAILABLE',
  NOT_COORDINATOR_FOR_GROUP: 'UNAVAILABLE',
  COORDINATOR_NOT_AVAILABLE: 'UNAVAILABLE',
  GROUP_COORDINATOR_NOT_AVAILABLE: 'UNAVAILABLE',
  COORDINATOR_LOAD_IN_PROGRESS: 'UNAVAILABLE',
  GROUP_LOAD_IN_PROGRESS: 'UNAVAILABLE',
  LEADER_NOT_AVAILABLE: 'UNAVAILABLE',
  NOT_LEADER_OR_FOLLOWER: 'UNAVAILABLE',
  NOT_LEADER_FOR_PARTITION: 'UNAVAILABLE',
  NOT_ENOUGH_REPLICAS: 'UNAVAILABLE',
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 'UNAVAILABLE',
  REQUEST_TIMED_OUT: 'UNAVAILABLE',
  NETWORK_EXCEPTION: 'UNAVAILABLE',
  ECONNREFUSED: 'UNAVAILABLE',
  ECONNRESET: 'UNAVAILABLE',
  EPIPE: 'UNAVAILABLE',
  ETIMEDOUT: 'UNAVAILABLE',
  EHOSTUNREACH: 'UNAVAILABLE',
  ENETUNREACH: 'UNAVAILABLE',
  ENOTFOUND: 'UNAVAILABLE',
  EAI_AGAIN: 'UNAVAILABLE',
  KafkaJSConnectionError: 'UNAVAILABLE',
  KafkaJSConnectionClosedError: 'UNAVAILABLE',
  KafkaJSRequestTimeoutError: 'UNAVAILABLE',
  KafkaJSBrokerNotFound: 'UNAVAILABLE',
  KafkaJSNoBrokerAvailableError: 'UNAVAILABLE',
  KafkaJSGroupCoordinatorNotFound: 'UNAVAILABLE',
  KafkaJSMetadataNotLoaded: 'UNAVAILABLE',
  PLT_KFK_NETWORK: 'UNAVAILABLE',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'AUTHENTICATION_FAILED',
  SELF_SIGNED_CERT_IN_CHAIN: 'AUTHENTICATION_FAILED',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'AUTHENTICATION_FAILED',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'AUTHENTICATION_FAILED',
  CERT_HAS_EXPIRED: 'AUTHENTICATION_FAILED',
  CERT_SIGNATURE_FAILURE: 'AUTHENTICATION_FAILED',
  ERR_TLS_CERT_ALTNAME_INVALID: 'AUTHENTICATION_FAILED',
}

/** Definite answers before guesses: a refused certificate also looks like a lost connection. */
const order: readonly KafkaErrorCode[] = [
  'CLOSED',
  'AUTHENTICATION_FAILED',
  'NOT_AUTHORIZED',
  'RECORD_TOO_LARGE',
  'PRODUCER_STATE_LOST',
  'NOT_A_MEMBER',
  'UNKNOWN_TOPIC',
  'TIMED_OUT',
  'UNAVAILABLE',
]

/** Turns whatever a client library threw into the port's error. `doing` begins the message: "Sending to orders". */
export function kafkaError(error: unknown, doing: string): KafkaError {
  if (error instanceof KafkaError) return error
  const names = new Set<string>()
  collect(error, names, 0)
  const found = new Set([...names].map(codeOf))
  const code = order.find((candidate) => found.has(candidate)) ?? 'OTHER'
  return new KafkaError(code, `${doing} failed: ${textOf(error, names)}`, error)
}

/** The message, and the broker's or Node's own names for what is wrong, which a wrapper's message often leaves out. */
function textOf(error: unknown, names: ReadonlySet<string>): string {
  const text = error instanceof Error ? error.message : String(error)
  const missing = [...names].filter(
    (name) => codes[name] !== undefined && !name.includes('Kafka') && !text.includes(name),
  )
  return missing.length === 0 ? text : `${text} (${missing.join(', ')})`
}

function codeOf(name: string): KafkaErrorCode | undefined {
  // OpenSSL reports the peer's alert ("certificate required", "unknown ca", "bad certificate") in the code's name.
  if (/^ERR_SSL_.*(ALERT|CERT)/.test(name)) return 'AUTHENTICATION_FAILED'
  if (/^Unknown topic /.test(name)) return 'UNKNOWN_TOPIC'
  return codes[name]
}

/** The libraries wrap errors in causes and lists: gathers every name on the way. */
function collect(error: unknown, names: Set<string>, depth: number): void {
  if (typeof error !== 'object' || error === null || depth > 8) return
  for (const field of ['name', 'code', 'type', 'apiId', 'message'] as const) {
    const value: unknown = Reflect.get(error, field)
    if (typeof value === 'string') names.add(value)
  }
  collect(Reflect.get(error, 'cause'), names, depth + 1)
  const errors: unknown = Reflect.get(error, 'errors')
  if (Array.isArray(errors)) for (const each of errors) collect(each, names, depth + 1)
}

/** Watches over a client library that goes on retrying also when, say, the broker has refused its certificate. */
export type Refusal = {
  /** Takes note of a failure on the way: an error, or the text of a log entry. */
  observe(failure: unknown): void
  /** The text of the last failure observed. */
  last(): string | undefined
  /** The promise's outcome, or a rejection as soon as a failure is observed that no retry mends. */
  unless<T>(promise: Promise<T>): Promise<T>
}

/** `onTrouble` is told of each failure observed. */
export function createRefusal(doing: string, onTrouble?: (error: KafkaError) => void): Refusal {
  const refused = Promise.withResolvers<never>()
  // Without a caller that waits there is nobody to tell.
  refused.promise.catch(() => undefined)
  let last: string | undefined
  return {
    observe(failure) {
      const error = kafkaError(failure, doing)
      last = error.message
      if (!error.retriable) refused.reject(error)
      onTrouble?.(error)
    },
    last: () => last,
    unless: (promise) => Promise.race([promise, refused.promise]),
  }
}
