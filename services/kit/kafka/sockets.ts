import type { Socket } from 'node:net'

/**
 * The sockets that a client library opens, so that whoever closes the client can close them all. Both libraries lose sight of
 * some, such as the first of two that were opened at a time, and wait for a broker that hangs before they close others: each
 * would keep the process for as long as the broker keeps the connection.
 */
export type Sockets = {
  add(socket: Socket): void
  /** Destroys all of them, now and later. `reason` is what their owners are told, as an `error`. */
  destroy(reason?: Error): void
}

/** Of one client. */
export function createSockets(): Sockets {
  const open = new Set<Socket>()
  let ended: { readonly reason: Error | undefined } | undefined
  return {
    add(socket) {
      open.add(socket)
      socket.once('close', () => open.delete(socket))
      if (ended) socket.destroy(ended.reason)
    },
    destroy(reason) {
      ended ??= { reason }
      for (const socket of open) socket.destroy(reason)
    },
  }
}
