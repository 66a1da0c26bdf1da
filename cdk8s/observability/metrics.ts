/** The metrics that rules and dashboards may name, each with who exports it. Whatever is not here is a word without a meaning. */
export const metricSources = {
  /** Of `services/kit/telemetry/semantics.ts`, as Prometheus writes them; a test holds the two against each other. */
  kit: [
    'rpc_server_call_duration_seconds',
    'rpc_client_call_duration_seconds',
    'http_server_request_duration_seconds',
    'http_client_request_duration_seconds',
    'messaging_process_duration_seconds',
    'messaging_client_sent_messages_total',
    'messaging_client_consumed_messages_total',
    'parley_messaging_delay_seconds',
    'parley_dead_letters_waiting',
    'parley_outbox_age_seconds',
    'parley_projection_lag_seconds',
    'parley_projection_parked',
    'parley_webhook_lateness_seconds',
    'parley_outbox_depth',
    'parley_outbox_refused_total',
    'parley_saga_age_seconds',
    'parley_saga_stuck',
    'parley_saga_ended_total',
    'parley_saga_duration_seconds',
    'nodejs_eventloop_utilization',
  ],
  /** Of Istio's sidecars, where the pod's annotation `proxy.istio.io/config` lets these statistics through. */
  istio: [
    'envoy_cluster_outlier_detection_ejections_active',
    'envoy_cluster_outlier_detection_ejections_enforced_total',
  ],
  /** Of Linkerd's proxies: `linkerd/proxy/balance/gauge-endpoints` and `linkerd/app/outbound/src/http.rs`. */
  linkerd: ['outbound_http_balancer_endpoints'],
  /** Of what tells Prometheus how the cluster's own objects are. */
  kubeStateMetrics: ['kube_deployment_status_replicas_available'],
  /** Of the exporter that Strimzi runs beside the brokers. */
  kafkaExporter: [
    'kafka_consumergroup_lag',
    'kafka_consumergroup_current_offset',
    'kafka_topic_partition_current_offset',
  ],
  /** Of the brokers, by Strimzi's metrics reporter. */
  kafka: ['kafka_server_replicamanager_underreplicatedpartitions'],
  /** Of RabbitMQ's page `/metrics/detailed?family=queue_coarse_metrics`. */
  rabbitmq: ['rabbitmq_detailed_queue_messages_ready', 'rabbitmq_detailed_queue_messages_unacked'],
  /** Of CloudNativePG's instances. */
  postgres: ['cnpg_backends_total', 'cnpg_pg_replication_lag'],
  /** Recorded by our own rules. */
  recorded: ['parley:server_errors:ratio_rate', 'parley:call_errors:ratio_rate'],
} as const

/** A text as PromQL writes it. */
export function quoted(text: string): string {
  return JSON.stringify(text)
}

/** A text as a regular expression for just it. */
export function literal(text: string): string {
  return text.replaceAll(/[.\\+*?^$()[\]{}|]/g, '\\$&')
}

/** Label matchers, `{a="1",b="2"}`. */
export function matching(labels: Readonly<Record<string, string>>): string {
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}=${quoted(value)}`)
    .join(',')}}`
}

/** Minutes as PromQL writes them: `5m`, `6h`, `3d`. */
export function window(minutes: number): string {
  if (minutes % 1_440 === 0) return `${minutes / 1_440}d`
  return minutes % 60 === 0 ? `${minutes / 60}h` : `${minutes}m`
}

/** gRPC's codes that are the server's fault, as OpenTelemetry counts them. */
export const grpcFailures = 'UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS'
