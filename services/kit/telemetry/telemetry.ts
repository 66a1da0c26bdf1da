import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  type Attributes,
  type Context,
  type Counter,
  context,
  DiagLogLevel,
  diag,
  type Histogram,
  type Link,
  type Meter,
  metrics,
  propagation,
  type Span,
  type SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import type { NodeSDKConfiguration } from '@opentelemetry/sdk-node'
import type { Configuration } from '../app/configuration.ts'
import { ServiceError } from '../errors.ts'
import type { Log } from './log.ts'
import { attribute, durationBucketsSeconds, metric, metricHelp } from './semantics.ts'

/** The running telemetry of a process. */
export type Telemetry = {
  /** Answers a scrape with all metrics as Prometheus text. */
  serveMetrics(request: IncomingMessage, response: ServerResponse): void
  /** Sends the spans that still wait, for 2 s at most. */
  stop(): Promise<void>
}

/** Headers of HTTP or Kafka, metadata of gRPC, properties of RabbitMQ: whatever carries a trace from process to process. */
export type Carrier = Record<string, string>

const stopMsMax = 2_000
const scope = 'parley'

/**
 * Starts OpenTelemetry for a process: spans to the exporter that `OTEL_TRACES_EXPORTER` names (none where it is not set),
 * metrics for Prometheus, W3C trace context. Any `OTEL_*` variable that is set wins over the defaults here.
 */
export async function startTelemetry(
  configuration: Pick<Configuration, 'service' | 'system' | 'version' | 'environment'>,
  log: Log,
  options: Partial<Pick<NodeSDKConfiguration, 'traceExporter'>> = {},
): Promise<Telemetry> {
  setDefaults(configuration)
  warnRarely(log)
  // The SDK is most of a service's start-up time, so only processes that start telemetry load it.
  const [{ NodeSDK }, { PrometheusExporter }] = await Promise.all([
    import('@opentelemetry/sdk-node'),
    import('@opentelemetry/exporter-prometheus'),
  ])
  const prometheus = new PrometheusExporter({ preventServerStart: true, withoutScopeInfo: true })
  // Without spans to export none are made; a trace that comes from outside is passed on all the same.
  const untraced = process.env.OTEL_TRACES_EXPORTER === 'none' && !options.traceExporter ? { spanProcessors: [] } : {}
  const sdk = new NodeSDK({ serviceName: configuration.service, metricReaders: [prometheus], ...untraced, ...options })
  sdk.start()
  instruments.clear()
  const stopWatching = watchEventLoop()
  return {
    serveMetrics: (request, response) => prometheus.getMetricsRequestHandler(request, response),
    async stop() {
      stopWatching()
      const late = new Promise<void>((resolve) => setTimeout(resolve, stopMsMax).unref())
      await Promise.race([sdk.shutdown(), late])
    },
  }
}

/** A service that computes for too long answers late whatever its callers declared, so what it computes is measured. */
function watchEventLoop(): () => void {
  let last = performance.eventLoopUtilization()
  return gauge(metric.eventLoopUtilization, '1', () => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, last)
    last = now
    return [{ value: utilization }]
  })
}

/** The tracer of the kit. Without a started telemetry its spans are not recorded. */
export function tracer(): Tracer {
  return trace.getTracer(scope)
}

/** The meter of the kit. Without a started telemetry nothing is counted. */
function meter(): Meter {
  return metrics.getMeter(scope)
}

const instruments = new Map<string, Histogram | Counter>()

/** A histogram of durations by its name from `semantics.ts`; record seconds. */
export function durations(name: string): Histogram {
  return instrument(name, () =>
    meter().createHistogram(withUnit(name, 's'), {
      unit: 's',
      description: metricHelp[name] ?? '',
      advice: { explicitBucketBoundaries: [...durationBucketsSeconds] },
    }),
  )
}

/** A counter by its name from `semantics.ts`. */
export function counter(name: string): Counter {
  return instrument(name, () => meter().createCounter(name, { description: metricHelp[name] ?? '' }))
}

/** One value of a gauge, with what tells it apart from its siblings. */
export type Reading = { readonly value: number; readonly attributes?: Attributes }

/**
 * Registers a gauge whose readings are asked for at every scrape, such as lag or outbox age. `unit` is of UCUM: `s`, `By`,
 * or `1`. A reader that throws leaves a gap. Returns how to unregister it.
 */
export function gauge(
  name: string,
  unit: string,
  read: () => readonly Reading[] | Promise<readonly Reading[]>,
): () => void {
  const instrument = meter().createObservableGauge(withUnit(name, unit), { unit, description: metricHelp[name] ?? '' })
  const observe = async (result: { observe(value: number, attributes?: Attributes): void }) => {
    for (const { value, attributes } of await read()) result.observe(value, attributes)
  }
  instrument.addCallback(observe)
  return () => instrument.removeCallback(observe)
}

/** Writes the trace context under way into a carrier. */
export function injectTrace(carrier: Carrier, from: Context = context.active()): Carrier {
  propagation.inject(from, carrier)
  return carrier
}

/** The context of the trace that a carrier brings; the root where it brings none. */
export function extractTrace(carrier: Readonly<Carrier>): Context {
  return propagation.extract(context.active(), carrier)
}

/** How a span stands towards others. */
export type SpanSpec = {
  readonly kind: SpanKind
  readonly attributes?: Attributes
  /** Default: the span under way. */
  readonly parent?: Context
  readonly links?: readonly Link[]
}

/** Runs work within a span, which ends with it; a failure marks the span with the error's code and is thrown on. */
export async function inSpan<T>(name: string, spec: SpanSpec, run: (span: Span) => Promise<T>): Promise<T> {
  const { kind, attributes = {}, parent = context.active(), links = [] } = spec
  const span = tracer().startSpan(name, { kind, attributes, links: [...links] }, parent)
  try {
    return await context.with(trace.setSpan(parent, span), run, undefined, span)
  } catch (thrown) {
    failSpan(span, ServiceError.from(thrown))
    throw thrown
  } finally {
    span.end()
  }
}

/** Marks a span as failed. */
export function failSpan(span: Span, error: ServiceError): void {
  span.setAttribute(attribute.errorType, error.code)
  span.setStatus({ code: SpanStatusCode.ERROR, message: error.message })
}

/** The link from a consumer's span to the producer's, by what the message carried; none where it carried no trace. */
export function linkTo(carrier: Readonly<Carrier>): readonly Link[] {
  const spanContext = trace.getSpanContext(extractTrace(carrier))
  return spanContext ? [{ context: spanContext }] : []
}

/** Prometheus wants the unit in the name, and its exporter does not write it. */
function withUnit(name: string, unit: string): string {
  if (unit === 's') return `${name}.seconds`
  return unit === 'By' ? `${name}.bytes` : name
}

function instrument<T extends Histogram | Counter>(name: string, create: () => T): T {
  const known = instruments.get(name)
  if (known) return known as T
  const created = create()
  instruments.set(name, created)
  return created
}

/** The SDK reads its settings from variables only, so the defaults that differ from its own are set there. */
function setDefaults({
  system,
  version,
  environment,
}: Pick<Configuration, 'system' | 'version' | 'environment'>): void {
  process.env.OTEL_TRACES_EXPORTER ??= 'none'
  process.env.OTEL_LOGS_EXPORTER ??= 'none'
  process.env.OTEL_PROPAGATORS ??= 'tracecontext'
  process.env.OTEL_NODE_RESOURCE_DETECTORS ??= 'env'
  process.env.OTEL_RESOURCE_ATTRIBUTES ??= `service.namespace=${system},service.version=${version},deployment.environment.name=${environment}`
  // A trace is complete in the viewer a second after it happened, and a collector that is away costs little memory.
  process.env.OTEL_BSP_SCHEDULE_DELAY ??= '1000'
  process.env.OTEL_BSP_EXPORT_TIMEOUT ??= '5000'
}

/** OpenTelemetry's own complaints, such as a collector that is away, once a minute at most. */
function warnRarely(log: Log): void {
  let quietUntil = 0
  const warn = (message: string, ...rest: unknown[]) => {
    if (performance.now() < quietUntil) return
    quietUntil = performance.now() + 60_000
    log.warn('Telemetry cannot be delivered; repeated at most once a minute.', { reason: message, details: rest })
  }
  const ignore = () => undefined
  diag.setLogger(
    { error: warn, warn, info: ignore, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  )
}
