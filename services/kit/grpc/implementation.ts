import type { DescMessage, DescMethod, DescService, MessageInitShape, MessageShape } from '@bufbuild/protobuf'
import type { Metadata } from '@grpc/grpc-js'

/** What a handler is told beside the request. The same signal and more is in `context.ts`. */
export type Call = { readonly signal: AbortSignal; readonly metadata: Metadata }

type Shape<D extends DescMessage> = MessageShape<D>
type Init<D extends DescMessage> = MessageInitShape<D>

/** A handler of one method. Requests and answers that stream are async iterables. */
export type Handler<M extends DescMethod> = M extends { methodKind: 'unary' }
  ? (request: Shape<M['input']>, call: Call) => Promise<Init<M['output']>>
  : M extends { methodKind: 'server_streaming' }
    ? (request: Shape<M['input']>, call: Call) => AsyncIterable<Init<M['output']>>
    : M extends { methodKind: 'client_streaming' }
      ? (requests: AsyncIterable<Shape<M['input']>>, call: Call) => Promise<Init<M['output']>>
      : (requests: AsyncIterable<Shape<M['input']>>, call: Call) => AsyncIterable<Init<M['output']>>

/** The handlers of a service: one for each of its methods, and no others. */
export type Handlers<D extends DescService> = { readonly [M in keyof D['method']]: Handler<D['method'][M]> }

/** A service and what answers it. */
export type Implementation<D extends DescService = DescService> = {
  readonly service: D
  readonly handlers: Handlers<D>
}

/** Pairs a service with its handlers. */
export function implement<const D extends DescService>(service: D, handlers: Handlers<D>): Implementation<D> {
  return { service, handlers }
}

/** An implementation for each gRPC service that a node exposes, in the order of its declaration. */
export type Implementations<Apis> = Apis extends readonly [infer First, ...infer Rest]
  ? First extends DescService
    ? [Implementation<First>, ...Implementations<Rest>]
    : Implementations<Rest>
  : []
