import { isNativeError } from 'node:util/types'
import { ServiceError } from '../errors.ts'

/**
 * The database cannot be had now: down, restarting, out of connections, or the connection was lost. Whatever was
 * under way may be tried again later; it says nothing about the work itself. Why is in the cause alone: it names hosts, roles
 * and files, and the message may be shown outside.
 */
export class StoreUnavailable extends ServiceError {
  constructor(cause: unknown) {
    super('unavailable', 'The database cannot be had now.', { cause })
  }
}

/** Classes of SQLSTATE that tell of the server, not of the statement: connection, resources, shutdown, system. */
const serverClasses = new Set(['08', '53', '58'])
/** Shutdown, crash, starting up; a lock not had in time; a transaction ended for its silence; a replica that was promoted away. */
const serverCodes = new Set(['57P01', '57P02', '57P03', '55P03', '25P03', '25006'])
const socketCodes = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'ENOTFOUND'])
/** What `pg` says without a code. */
const lostMessages =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection)/

/** Turns what a query threw into `StoreUnavailable` where it is that; everything else stays as it is. */
export function asDatabaseError(thrown: unknown): unknown {
  if (!isNativeError(thrown) || thrown instanceof ServiceError) return thrown
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : ''
  const serverFailed = serverClasses.has(code.slice(0, 2)) || serverCodes.has(code)
  const connectionFailed = socketCodes.has(code) || lostMessages.test(thrown.message)
  return serverFailed || connectionFailed ? new StoreUnavailable(thrown) : thrown
}

/** Whether two transactions were in each other's way, so that the server ended this one: a serialization failure or a deadlock. */
export function isConflict(thrown: unknown): boolean {
  return hasCode(thrown, '40001') || hasCode(thrown, '40P01')
}

/** Whether the server cancelled the statement: it ran for longer than it may, or somebody asked for it. */
export function isCancelled(thrown: unknown): boolean {
  return hasCode(thrown, '57014')
}

function hasCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code
}

/** Whether trying the same again later may help: the store is away, or two transactions were in each other's way. */
export function isPassing(thrown: unknown): boolean {
  return thrown instanceof ServiceError ? thrown.transient : isConflict(thrown)
}

/** Whether a write met a row that a unique constraint of this name forbids. */
export function violates(thrown: unknown, constraint: string): boolean {
  return (
    thrown instanceof Error &&
    'code' in thrown &&
    thrown.code === '23505' &&
    'constraint' in thrown &&
    thrown.constraint === constraint
  )
}
