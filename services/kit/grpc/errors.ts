import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { anyPack, anyUnpack } from '@bufbuild/protobuf/wkt'
import { Metadata, type StatusObject, status } from '@grpc/grpc-js'
import { BadRequestSchema, ErrorInfoSchema } from '#proto/google/rpc/error_details_pb.ts'
import { StatusSchema } from '#proto/google/rpc/status_pb.ts'
import { correlationHeader } from '../context.ts'
import { type ErrorCode, errorCodes, ServiceError, type Violation, violationsToldMax } from '../errors.ts'

/** How each operating error looks to a gRPC caller. */
export const grpcStatusOf: Readonly<Record<ErrorCode, status>> = {
  'invalid-argument': status.INVALID_ARGUMENT,
  unauthenticated: status.UNAUTHENTICATED,
  'permission-denied': status.PERMISSION_DENIED,
  'not-found': status.NOT_FOUND,
  conflict: status.ABORTED,
  'failed-precondition': status.FAILED_PRECONDITION,
  'idempotency-key-reused': status.ALREADY_EXISTS,
  unimplemented: status.UNIMPLEMENTED,
  unavailable: status.UNAVAILABLE,
  'deadline-exceeded': status.DEADLINE_EXCEEDED,
  overloaded: status.RESOURCE_EXHAUSTED,
  'webhook-forged': status.UNAUTHENTICATED,
  'webhook-stale': status.UNAUTHENTICATED,
  'webhook-replayed': status.ALREADY_EXISTS,
  cancelled: status.CANCELLED,
  internal: status.INTERNAL,
}

/** What a status means that carries no details of ours: the mesh's answers, and those of services in other languages. */
const errorCodeOf: Readonly<Record<status, ErrorCode>> = {
  [status.OK]: 'internal',
  [status.CANCELLED]: 'cancelled',
  [status.UNKNOWN]: 'internal',
  [status.INVALID_ARGUMENT]: 'invalid-argument',
  [status.DEADLINE_EXCEEDED]: 'deadline-exceeded',
  [status.NOT_FOUND]: 'not-found',
  [status.ALREADY_EXISTS]: 'conflict',
  [status.PERMISSION_DENIED]: 'permission-denied',
  [status.RESOURCE_EXHAUSTED]: 'overloaded',
  [status.FAILED_PRECONDITION]: 'failed-precondition',
  [status.ABORTED]: 'conflict',
  [status.OUT_OF_RANGE]: 'invalid-argument',
  [status.UNIMPLEMENTED]: 'unimplemented',
  [status.INTERNAL]: 'internal',
  [status.UNAVAILABLE]: 'unavailable',
  [status.DATA_LOSS]: 'internal',
  [status.UNAUTHENTICATED]: 'unauthenticated',
}

const detailsKey = 'grpc-status-details-bin'
const domain = 'parley'

/** A status travels in headers, of which a connection takes some 60 KB: one that says more would not arrive at all. */
const saidCharactersMax = 500

/**
 * The status that answers a call with an error. An internal error's message stays inside; its correlation id goes out.
 */
export function toGrpcStatus(error: ServiceError, correlationId: string): StatusObject {
  const code = grpcStatusOf[error.code]
  const details = error.code === 'internal' ? internalMessage(correlationId) : cut(error.message)
  const info = create(ErrorInfoSchema, { reason: reasonOf(error.code), domain, metadata: { correlationId } })
  const badRequest = create(BadRequestSchema, {
    fieldViolations: error.violations.slice(0, violationsToldMax).map(({ field, code, message }) => ({
      field: cut(field),
      reason: code,
      description: cut(message),
    })),
  })
  const any = [anyPack(ErrorInfoSchema, info)]
  if (error.violations.length > 0) any.push(anyPack(BadRequestSchema, badRequest))
  const metadata = new Metadata()
  metadata.set(correlationHeader, correlationId)
  metadata.set(
    detailsKey,
    Buffer.from(toBinary(StatusSchema, create(StatusSchema, { code, message: details, details: any }))),
  )
  return { code, details, metadata }
}

/** Whole characters: half of one, as a cut leaves it, is nothing that a header can say. */
function cut(text: string): string {
  return text.slice(0, saidCharactersMax).toWellFormed()
}

/**
 * The operating error that a failed call stands for. What a callee of ours said is passed on as it is. Where the status came
 * from the mesh or the connection its details may hold addresses, so they stay in the cause; `call` names the call instead.
 */
export function fromGrpcStatus(failed: StatusObject & { readonly cause?: unknown }, call: string): ServiceError {
  const { code, violations } = readDetails(failed.metadata)
  if (code) return new ServiceError(code, failed.details, { violations, cause: failed })
  const brokenOff = failed.code === status.INTERNAL && brokenOffBy.test(failed.details)
  return new ServiceError(brokenOff ? 'unavailable' : errorCodeOf[failed.code], `${call}: ${status[failed.code]}`, {
    violations,
    cause: failed,
  })
}

/**
 * What grpc-js says of an answer that a proxy broke off, such as one whose time ran out between its headers and its end. It calls that
 * INTERNAL; but a fault of a callee of ours comes with details.
 */
const brokenOffBy = /^Received RST_STREAM with code [02] \(/

/** What people outside are told of a fault of ours. */
export function internalMessage(correlationId: string): string {
  return `An internal error. Ask the operators with the correlation id ${correlationId}.`
}

function readDetails(metadata: Metadata | undefined): { code?: ErrorCode; violations: readonly Violation[] } {
  const bytes = metadata?.get(detailsKey)[0]
  if (!(bytes instanceof Buffer)) return { violations: [] }
  try {
    const { details } = fromBinary(StatusSchema, bytes)
    const info = details.map((any) => anyUnpack(any, ErrorInfoSchema)).find((found) => found?.domain === domain)
    const violations = details.flatMap((any) => anyUnpack(any, BadRequestSchema)?.fieldViolations ?? [])
    const code = (Object.keys(errorCodes) as ErrorCode[]).find((name) => reasonOf(name) === info?.reason)
    return {
      ...(code && { code }),
      violations: violations.map(({ field, reason, description }) => ({ field, code: reason, message: description })),
    }
  } catch {
    // Details are an addition: a callee that garbles them is still understood by its status.
    return { violations: [] }
  }
}

function reasonOf(code: ErrorCode): string {
  return code.toUpperCase().replaceAll('-', '_')
}
