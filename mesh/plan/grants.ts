/**
 * Who may do what: the whole of it. Whatever is not here is refused, by the mesh, the broker, the queue server and the
 * database alike. Evaluators and access tests hold every identity against it.
 */
export type Grants = {
  readonly calls: readonly CallGrant[]
  readonly topics: readonly TopicGrant[]
  readonly groups: readonly { readonly service: string; readonly group: string }[]
  readonly queues: readonly QueueGrant[]
  readonly databases: readonly { readonly service: string; readonly database: string }[]
  readonly egress: readonly { readonly service: string; readonly external: string }[]
}

/** A service may call a method of another. */
export type CallGrant = { readonly from: string; readonly to: string; readonly verb: string; readonly path: string }

/** A service may read or write a topic. */
export type TopicGrant = { readonly service: string; readonly topic: string; readonly operation: 'read' | 'write' }

/** A service may put into a queue, work it, or ask through it (which is to put, and to have a reply queue of its own). */
export type QueueGrant = {
  readonly service: string
  readonly queue: string
  readonly operation: 'send' | 'work' | 'ask'
}
