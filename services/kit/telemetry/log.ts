import { trace } from '@opentelemetry/api'
import { type DestinationStream, pino } from 'pino'
import { currentContext } from '../context.ts'

/** What a line may say beside its message. Values are data, never secrets; `error` is written with its causes. */
export type LogFields = Readonly<Record<string, unknown>>

/** Writes structured lines: one JSON object each, with the trace and the correlation id of the request under way. */
export type Log = {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

type LogOptions = { readonly service: string; readonly logLevel: string }

/** Names under which secrets travel. Whatever a line holds under them, at the top or one below, is left out. */
const secretNames = ['password', 'authorization', 'cookie', 'secret', 'token', 'paymentMethod', 'apiKey']

/** Opens the log of a service; lines go to standard output unless told otherwise. */
export function openLog({ service, logLevel }: LogOptions, destination?: DestinationStream): Log {
  const options = {
    level: logLevel,
    base: { service },
    messageKey: 'message',
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    mixin: requestFields,
    redact: { paths: secretNames.flatMap((name) => [name, `*.${name}`]), censor: '[left out]' },
  }
  const logger = destination ? pino(options, destination) : pino(options)
  const write =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields: LogFields = {}) => {
      if (logger.isLevelEnabled(level)) logger[level](plain(fields), message)
    }
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
}

/** A log for tests of parts that want one: it writes nothing. */
export const silentLog: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore }

function ignore(): void {}

function requestFields(): object {
  const span = trace.getActiveSpan()?.spanContext()
  const correlation = currentContext()?.correlationId
  return {
    ...(span && { trace_id: span.traceId, span_id: span.spanId }),
    ...(correlation && { correlation_id: correlation }),
  }
}

function plain(fields: LogFields): LogFields {
  return 'error' in fields ? { ...fields, error: describeError(fields.error) } : fields
}

/** An error as data: its kind, code, message, stack, and what caused it, at most five deep. */
function describeError(thrown: unknown, depthMax = 5): unknown {
  if (!(thrown instanceof Error)) return thrown
  const code = 'code' in thrown ? thrown.code : undefined
  return {
    type: thrown.name,
    ...(code !== undefined && { code }),
    message: thrown.message,
    stack: thrown.stack,
    ...(thrown.cause !== undefined && depthMax > 1 && { cause: describeError(thrown.cause, depthMax - 1) }),
  }
}
