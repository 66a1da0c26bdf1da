import { randomFillSync } from 'node:crypto'
import type { DescMessage } from '@bufbuild/protobuf'

/** What is known of a message beside its payload: the attributes of CloudEvents 1.0. */
export type Envelope = {
  /** Unique among all messages; consumers recognise a repeat by it. */
  readonly id: string
  /** The full name of the payload's protobuf message. */
  readonly type: string
  /** Who sent it, as a URI reference. */
  readonly source: string
  readonly time: Date
  /** What it is about, by default the key; empty where nothing was said. */
  readonly subject: string
  /** Empty where the sender gave none. */
  readonly correlationId: string
  /** The version in the payload's package: 1 for `parley.orders.v1`. */
  readonly dataVersion: string
}

/** How the attributes are written: `ce_id` in Kafka's headers, `cloudEvents:id` in AMQP's. */
export type Binding = 'kafka' | 'amqp'
const prefixes = { kafka: 'ce_', amqp: 'cloudEvents:' } as const satisfies Record<Binding, string>

/** Why something is no message of ours. The codes are stable: dead letters carry them. */
export type EnvelopeCode =
  /** A required attribute is not there: `id`, `type`, `source`, `time` or `specversion`. */
  | 'ENVELOPE_ATTRIBUTE_MISSING'
  /** An attribute is there and cannot be what it must be. */
  | 'ENVELOPE_ATTRIBUTE_MALFORMED'
  /** Another version of CloudEvents than 1.0. */
  | 'ENVELOPE_VERSION_UNKNOWN'
  /** The payload is not said to be protobuf. */
  | 'ENVELOPE_CONTENT_TYPE_UNKNOWN'

/** What was read, or why it could not be. */
export type Decoded<T, Code> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: Code; readonly reason: string }

/** The content type of every message of ours. */
export const protobufType = 'application/protobuf'
const textLengthMax = 512
/** AMQP's clients cut an id off at 255 bytes without a word; what is derived from it, such as an answer's, is longer by some. */
export const amqpIdBytesMax = 240

/** The headers of a message in binary mode. AMQP has a property of its own for the content type; it is written there too. */
export function encodeEnvelope(envelope: Envelope, binding: Binding): Record<string, string> {
  const prefix = prefixes[binding]
  const { id, type, source, time, subject, correlationId, dataVersion } = envelope
  return {
    [`${prefix}specversion`]: '1.0',
    [`${prefix}id`]: id,
    [`${prefix}type`]: type,
    [`${prefix}source`]: source,
    [`${prefix}time`]: time.toISOString(),
    ...(subject && { [`${prefix}subject`]: subject }),
    ...(correlationId && { [`${prefix}correlationid`]: correlationId }),
    [`${prefix}dataversion`]: dataVersion,
    'content-type': protobufType,
  }
}

/** Reads an envelope strictly. Never throws: what cannot be read comes back with a code and a sentence. */
export function decodeEnvelope(
  headers: Readonly<Record<string, unknown>>,
  binding: Binding,
): Decoded<Envelope, EnvelopeCode> {
  const prefix = prefixes[binding]
  const given = (name: string) => (Object.hasOwn(headers, name) ? headers[name] : undefined)
  const problems = [
    versionProblem(given(`${prefix}specversion`)),
    contentTypeProblem(given('content-type')),
    ...attributes.map(({ name, required, fits }) => {
      const value = given(prefix + name)
      if (value === undefined) return required ? missing(prefix + name) : undefined
      return fits(value) ? undefined : malformed(prefix + name, value)
    }),
    binding === 'amqp' ? idProblem(given(`${prefix}id`)) : undefined,
  ]
  const problem = problems.find((found) => found !== undefined)
  if (problem) return problem
  const text = (name: string) => String(given(prefix + name) ?? '')
  const value: Envelope = {
    id: text('id'),
    type: text('type'),
    source: text('source'),
    time: new Date(text('time')),
    subject: text('subject'),
    correlationId: text('correlationid'),
    dataVersion: text('dataversion'),
  }
  return { ok: true, value }
}

const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/
const isTime = (value: unknown) =>
  typeof value === 'string' && timePattern.test(value) && !Number.isNaN(Date.parse(value))
/** Postgres cannot hold the character 0, and the specification forbids all control characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
const control = /[\u0000-\u001f\u007f-\u009f]/
const isText = (value: unknown) =>
  typeof value === 'string' &&
  value !== '' &&
  value.length <= textLengthMax &&
  !control.test(value) &&
  value.isWellFormed()

const attributes = [
  { name: 'id', required: true, fits: isText },
  { name: 'type', required: true, fits: isText },
  { name: 'source', required: true, fits: isText },
  { name: 'time', required: true, fits: isTime },
  { name: 'subject', required: false, fits: isText },
  { name: 'correlationid', required: false, fits: isText },
  { name: 'dataversion', required: false, fits: isText },
] as const

type Problem = { readonly ok: false; readonly code: EnvelopeCode; readonly reason: string }

function versionProblem(value: unknown): Problem | undefined {
  if (value === undefined) return missing('specversion')
  if (value === '1.0') return undefined
  return { ok: false, code: 'ENVELOPE_VERSION_UNKNOWN', reason: `specversion is ${show(value)}; only 1.0 is known` }
}

function idProblem(value: unknown): Problem | undefined {
  const fits = typeof value !== 'string' || Buffer.byteLength(value) <= amqpIdBytesMax
  return fits ? undefined : malformed(`${prefixes.amqp}id`, value)
}

function contentTypeProblem(value: unknown): Problem | undefined {
  if (value === protobufType) return undefined
  const reason = `content-type is ${show(value)}; it must be ${protobufType}`
  return { ok: false, code: 'ENVELOPE_CONTENT_TYPE_UNKNOWN', reason }
}

function missing(name: string): Problem {
  return { ok: false, code: 'ENVELOPE_ATTRIBUTE_MISSING', reason: `${name} is missing` }
}

function malformed(name: string, value: unknown): Problem {
  return { ok: false, code: 'ENVELOPE_ATTRIBUTE_MALFORMED', reason: `${name} is ${show(value)}, which it cannot be` }
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value.toWellFormed()) : typeof value
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

/** The version in a message's package: 2 for `shop.orders.v2.OrderPlaced`, 1 where the package has none. */
export function dataVersion(message: DescMessage): string {
  return /\.v(\d+)(?:[a-z]+\d+)?\.[^.]+$/.exec(message.typeName)?.[1] ?? '1'
}

/** A new id: a UUID of version 7, so that the ids of one time lie together in an index. */
export function newId(now: Date): string {
  const bytes = randomFillSync(Buffer.alloc(16))
  bytes.writeUIntBE(now.getTime(), 0, 6)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
