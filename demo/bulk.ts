import {
  create,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import type { Visit } from './row.ts'
import { traceHeaders } from './visit.ts'

const withinMs = 15_000

/** The streams of orders as a partner's machine calls them, over gRPC at the edge. */
export type Partner = {
  /** One question, a stream of answers. */
  list<M extends DescMethod>(method: M, request: MessageInitShape<M['input']>): Promise<MessageShape<M['output']>[]>
  /** A stream of questions, one answer. */
  upload<M extends DescMethod>(
    method: M,
    requests: readonly MessageInitShape<M['input']>[],
  ): Promise<MessageShape<M['output']>>
  /** A stream of questions, an answer for each. */
  converse<M extends DescMethod>(
    method: M,
    requests: readonly MessageInitShape<M['input']>[],
  ): Promise<MessageShape<M['output']>[]>
}

/** Connects to the edge of orders; hangs up when the visit ends. */
export function partnerOf(visit: Visit): Partner {
  const channel = new Client(new URL(visit.shop.edgeOf('orders')).host, credentials.createInsecure())
  visit.afterwards(async () => channel.close())
  const how = (method: DescMethod) => {
    const metadata = new Metadata()
    for (const [name, value] of Object.entries(traceHeaders(visit.traceId))) metadata.set(name, value)
    return {
      path: `/${OrderService.typeName}/${method.name}`,
      metadata,
      options: { deadline: Date.now() + withinMs },
      write: (message: object) => Buffer.from(toBinary(method.input, create(method.input, { ...message }))),
      read: (bytes: Buffer) => fromBinary(method.output, bytes) as never,
    }
  }
  return {
    list(method, request) {
      const { path, metadata, options, write, read } = how(method)
      return channel.makeServerStreamRequest(path, write, read, request as object, metadata, options).toArray()
    },
    upload(method, requests) {
      const { path, metadata, options, write, read } = how(method)
      return new Promise((resolve, reject) => {
        const call = channel.makeClientStreamRequest(path, write, read, metadata, options, (error, answer) =>
          error ? reject(error) : resolve(answer as never),
        )
        for (const request of requests) call.write(request as object)
        call.end()
      })
    },
    converse(method, requests) {
      const { path, metadata, options, write, read } = how(method)
      const call = channel.makeBidiStreamRequest(path, write, read, metadata, options)
      for (const request of requests) call.write(request as object)
      call.end()
      return call.toArray()
    },
  }
}
