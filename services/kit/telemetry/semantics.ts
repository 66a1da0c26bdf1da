/**
 * The names of OpenTelemetry's semantic conventions 1.45 that Parley writes, in one place: a new version of the
 * conventions changes this file and no other. Names below `parley.` are our own.
 */
export const attribute = {
  errorType: 'error.type',
  correlationId: 'parley.correlation_id',
  rpcSystem: 'rpc.system.name',
  /** `package.Service/Method`. */
  rpcMethod: 'rpc.method',
  rpcStatus: 'rpc.response.status_code',
  httpMethod: 'http.request.method',
  httpRoute: 'http.route',
  httpStatus: 'http.response.status_code',
  urlTemplate: 'url.template',
  urlPath: 'url.path',
  graphqlOperation: 'graphql.operation.name',
  graphqlType: 'graphql.operation.type',
  serverAddress: 'server.address',
  messagingSystem: 'messaging.system',
  messagingOperationName: 'messaging.operation.name',
  messagingOperationType: 'messaging.operation.type',
  messagingDestination: 'messaging.destination.name',
  messagingPartition: 'messaging.destination.partition.id',
  messagingConsumerGroup: 'messaging.consumer.group.name',
  messagingMessageId: 'messaging.message.id',
  messagingBatchCount: 'messaging.batch.message_count',
  messagingKafkaKey: 'messaging.kafka.message.key',
  messagingKafkaOffset: 'messaging.kafka.offset',
  messagingRabbitmqRoutingKey: 'messaging.rabbitmq.destination.routing_key',
  /** How a cache came to its answer: `hit`, `stale-while-revalidate`, `revalidated`, `miss`, `stale-if-error`, `collapsed`. */
  cacheOutcome: 'parley.http.cache.outcome',
  /** The event's CloudEvents type. */
  eventType: 'parley.event.type',
} as const

/** Metrics. Prometheus sees them with underscores and the unit, such as `rpc_server_call_duration_seconds`. */
export const metric = {
  rpcServerDuration: 'rpc.server.call.duration',
  rpcClientDuration: 'rpc.client.call.duration',
  httpServerDuration: 'http.server.request.duration',
  httpClientDuration: 'http.client.request.duration',
  graphqlDuration: 'parley.graphql.duration',
  httpCacheAnswers: 'parley.http.cache.answers',
  messagingProcessDuration: 'messaging.process.duration',
  messagingSendDuration: 'messaging.client.operation.duration',
  messagingSent: 'messaging.client.sent.messages',
  messagingConsumed: 'messaging.client.consumed.messages',
  messagingDelay: 'parley.messaging.delay',
  consumerLag: 'parley.consumer.lag',
  deadLetters: 'parley.dead_letters',
  deadLettersWaiting: 'parley.dead_letters.waiting',
  askDuration: 'parley.ask.duration',
  repliesDropped: 'parley.replies.dropped',
  questionsExpired: 'parley.questions.expired',
  outboxAge: 'parley.outbox.age',
  outboxDepth: 'parley.outbox.depth',
  outboxRefused: 'parley.outbox.refused',
  sagaAge: 'parley.saga.age',
  sagasStuck: 'parley.saga.stuck',
  sagasEnded: 'parley.saga.ended',
  sagaDuration: 'parley.saga.duration',
  webhookAttempts: 'parley.webhook.attempts',
  webhookLateness: 'parley.webhook.lateness',
  webhookEndpoints: 'parley.webhook.endpoints',
  projectionLag: 'parley.projection.lag',
  projectionParked: 'parley.projection.parked',
  streamLag: 'parley.stream.watermark.lag',
  streamLate: 'parley.stream.late',
  streamLost: 'parley.stream.lost',
  streamWindows: 'parley.stream.windows.closed',
  eventLoopUtilization: 'nodejs.eventloop.utilization',
} as const

/** What each metric tells, for those who look at `/metrics`. */
export const metricHelp: Readonly<Record<string, string>> = {
  [metric.rpcServerDuration]: 'How long gRPC calls took here, by method and status.',
  [metric.rpcClientDuration]: 'How long gRPC calls to others took, all attempts of the mesh included.',
  [metric.httpServerDuration]: 'How long HTTP requests took here, by route and status.',
  [metric.httpClientDuration]: 'How long HTTP requests to others took, all attempts of the mesh included.',
  [metric.graphqlDuration]:
    'How long GraphQL operations took, by operation and outcome; of subscriptions until they were open.',
  [metric.httpCacheAnswers]: 'Answers of others that a cache here gave, asked for or waited for, by outcome.',
  [metric.messagingProcessDuration]: 'From the delivery of a message to its acknowledgement, by destination.',
  [metric.messagingSendDuration]: 'Sending one message or batch to the broker, by destination.',
  [metric.messagingSent]: 'Messages that the broker confirmed.',
  [metric.messagingConsumed]: 'Messages that were handled.',
  [metric.messagingDelay]: 'From the commit of an event at its source to its arrival here.',
  [metric.consumerLag]: 'Events of a topic that this group has still to handle.',
  [metric.deadLetters]: 'Messages that were put aside after their attempts were used up.',
  [metric.deadLettersWaiting]: 'Messages put aside that were neither replayed nor discarded yet.',
  [metric.askDuration]: 'From asking over a queue to the answer, by queue and outcome.',
  [metric.repliesDropped]: 'Answers that nobody waited for any more, by reason.',
  [metric.questionsExpired]: 'Questions whose asker had stopped waiting before a worker came to them.',
  [metric.outboxAge]: 'How long the oldest event waits to be published.',
  [metric.outboxDepth]: 'Events that wait to be published.',
  [metric.outboxRefused]: 'Messages that the broker will never take, set aside in the outbox.',
  [metric.sagaAge]: 'How long the oldest unfinished saga has been under way; 0 where all have ended.',
  [metric.sagasStuck]:
    'Sagas that need somebody: a step past the point of no return, or a compensation, is not answered.',
  [metric.sagasEnded]: 'Sagas that ended, by outcome.',
  [metric.sagaDuration]: 'From the start of a saga to its end, by outcome.',
  [metric.webhookAttempts]: 'Attempts to deliver a webhook, by what came of them.',
  [metric.webhookLateness]:
    'How far past its time the most overdue delivery is, to an active endpoint that nothing is under way to.',
  [metric.webhookEndpoints]: 'Subscribed endpoints, by state.',
  [metric.projectionLag]: 'How old the oldest event is that a read model has not applied yet.',
  [metric.projectionParked]: 'Events that a read model could not apply, with those that wait behind them.',
  [metric.streamLag]: 'How far the time before which windows are closed is behind the clock.',
  [metric.streamLate]:
    'Events that came after their window had closed in their partition: kept, but not counted in it.',
  [metric.streamLost]: 'Records that the log no longer held when a stream came to them.',
  [metric.streamWindows]: 'Results of windows, by kind: closed, or corrected afterwards.',
  [metric.eventLoopUtilization]: 'The share of time since the last scrape in which the event loop was busy.',
}

/** Bucket bounds of durations, in seconds: fine where answers are fast, up to the longest deadline in use. */
export const durationBucketsSeconds = [
  0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.06, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]
