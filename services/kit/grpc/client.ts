import type { DescMessage, DescMethod, DescService, MessageInitShape, MessageShape } from '@bufbuild/protobuf'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { Client as Channel, credentials } from '@grpc/grpc-js'
import { apiName } from '#graph/api.ts'
import type { CallEdge } from '#graph/call.ts'
import { resolveCall } from '#graph/defaults.ts'
import type { CalledApi, CalledMethod, ServiceNode } from '#graph/service.ts'
import { type Address, formatAddress } from '../app/address.ts'
import type { App } from '../app/lifecycle.ts'
import {
  type CallOptions,
  callOptions,
  cancelWith,
  failureOf,
  type Outgoing,
  observed,
  outgoingMetadata,
} from './call.ts'
import { streamingCall } from './client-streams.ts'
import { messageBytesMax } from './limits.ts'

type Init<D extends DescMessage> = MessageInitShape<D>
type Shape<D extends DescMessage> = MessageShape<D>

/** A call of one method. Requests and answers that stream are async iterables. */
export type ClientMethod<M extends DescMethod> = M extends { methodKind: 'unary' }
  ? (request: Init<M['input']>, options?: CallOptions) => Promise<Shape<M['output']>>
  : M extends { methodKind: 'server_streaming' }
    ? (request: Init<M['input']>, options?: CallOptions) => AsyncIterable<Shape<M['output']>>
    : M extends { methodKind: 'client_streaming' }
      ? (requests: AsyncIterable<Init<M['input']>>, options?: CallOptions) => Promise<Shape<M['output']>>
      : (requests: AsyncIterable<Init<M['input']>>, options?: CallOptions) => AsyncIterable<Shape<M['output']>>

/** The methods of an interface that a node declared to call; the others do not exist on it. */
export type Client<S extends ServiceNode, D extends DescService> = {
  readonly [M in CalledMethod<S, D> & keyof D['method']]: ClientMethod<D['method'][M]>
}

/**
 * A client for what the node declared to call. Each call ends at the edge's declared deadline, or before where the caller
 * of the request under way waits less long; retries and breakers are the mesh's. A failure is thrown as a `ServiceError`:
 * `unavailable` at once when the callee is not there, `deadline-exceeded`, or what the callee answered.
 */
export function client<S extends ServiceNode, const D extends DescService & CalledApi<S>>(
  app: App<S>,
  service: D,
): Client<S, D> {
  const name = apiName(service)
  const target = app.configuration.calls[name]
  if (!target) throw new Error(`${app.node.name} does not call ${name}: declare calls(${name}, […]) in its edges`)
  const channel = channelTo(target.address, target.callee)
  const methods = callEdges(app.node, name).flatMap((edge) =>
    edge.methods.map((localName) => {
      const method = service.method[localName]
      if (!method) throw new Error(`${name} has no method ${localName}`)
      const call: Outgoing = { channel, method, callee: target.callee, timeoutMs: resolveCall(edge.policy).deadlineMs }
      return [localName, method.methodKind === 'unary' ? unaryCall(call) : streamingCall(call)]
    }),
  )
  return Object.fromEntries(methods) as Client<S, D>
}

function callEdges(node: ServiceNode, api: string): readonly CallEdge[] {
  return (node.spec.edges ?? []).filter((edge) => edge.kind === 'calls').filter((edge) => apiName(edge.api) === api)
}

const channels = new Map<string, Channel>()

/** The process's one connection to a callee. It reconnects by itself, quickly, because the sidecar is on this machine. */
function channelTo(address: Address, callee: string): Channel {
  const key = `${formatAddress(address)} ${callee}`
  const known = channels.get(key)
  if (known) return known
  const channel = new Channel(formatAddress(address), credentials.createInsecure(), {
    'grpc.default_authority': callee,
    // Retries are the mesh's, by what the edge declares; another layer of them would multiply attempts.
    'grpc.enable_retries': 0,
    // So nothing is kept for another attempt: a kept stream never slows its sender, and each message costs more than the last.
    'grpc.per_rpc_retry_buffer_size': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_channelz': 0,
    'grpc.enable_http_proxy': 0,
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 1_000,
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.max_send_message_length': messageBytesMax,
  })
  channels.set(key, channel)
  return channel
}

function unaryCall(call: Outgoing) {
  const { channel, method } = call
  const path = `/${method.parent.typeName}/${method.name}`
  const encode = (message: MessageShape<DescMessage>) => Buffer.from(toBinary(method.input, message))
  const decode = (bytes: Buffer) => fromBinary(method.output, bytes)
  return (init: Init<DescMessage>, options: CallOptions = {}) =>
    observed(call, () => {
      const request = create(method.input, init)
      return new Promise<Shape<DescMessage>>((resolve, reject) => {
        const sent = channel.makeUnaryRequest(
          path,
          encode,
          decode,
          request,
          outgoingMetadata(),
          callOptions(call),
          (failure, answer) => {
            stopListening()
            if (answer !== undefined && !failure) resolve(answer)
            else reject(failureOf(call, failure))
          },
        )
        const stopListening = cancelWith(sent, options.signal)
      })
    })
}
