import type { DescMessage, DescMethod, MessageInitShape } from '@bufbuild/protobuf'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js'
import type { ServiceNode } from '#graph/service.ts'
import { type Address, clearSocket, formatAddress, protectSocket } from '../app/address.ts'
import type { Closable } from '../app/admin.ts'
import type { App } from '../app/lifecycle.ts'
import { invalidArgument, ServiceError } from '../errors.ts'
import { toGrpcStatus } from './errors.ts'
import { healthService } from './health.ts'
import type { Call, Implementation, Implementations } from './implementation.ts'
import { messageBytesMax, requestBytesMax } from './limits.ts'
import { reflectionServices } from './reflection.ts'
import { type Incoming, incoming, type Layer, serverStack, through, untilDeadline } from './stack.ts'
import { writeAll } from './stream-writing.ts'

/** How long streams under way have to end by themselves when the server closes; within the time that a process has to drain. */
const streamsDrainMs = 3_000

/** How far the clocks of a caller and a callee on their way to the same deadline may be apart, timers included. */
const clockSlackMs = 10

const serverOptions = {
  'grpc.max_receive_message_length': requestBytesMax,
  'grpc.max_send_message_length': messageBytesMax,
  // The sidecar bounds what is in flight by the declared limits; this bounds what anything else on this machine could do.
  'grpc.max_concurrent_streams': 1_000,
  'grpc.enable_channelz': 0,
  // No keepalive: the other side is the sidecar on the same machine, whose end the kernel tells at once.
}

/**
 * Serves the gRPC services that the node exposes, with health and reflection, where `PARLEY_LISTEN` says. Every call
 * passes `serverStack`. Closing lets calls under way finish and takes no new ones.
 */
export async function grpcServer<S extends ServiceNode>(
  app: App<S>,
  ...implementations: Implementations<S['spec']['exposes']>
): Promise<Closable> {
  const address = app.configuration.listen
  if (!address) throw new Error(`${app.node.name} exposes nothing, so it cannot serve gRPC: declare it in "exposes"`)
  const served = implementations as readonly Implementation[]
  const server = new Server(serverOptions)
  const streams = new Set<Incoming>()
  for (const implementation of served) register(server, implementation, serverStack, app, streams)
  register(
    server,
    healthService(
      app,
      served.map(({ service }) => service.typeName),
    ),
    [untilDeadline],
    app,
    streams,
  )
  for (const reflection of reflectionServices(served.map(({ service }) => service)))
    register(server, reflection, [untilDeadline], app, streams)
  await bind(server, address)
  return { close: () => drain(server, streams) }
}

/** Calls end by themselves; a stream may not, so those that are left after a while are told to go on elsewhere. */
async function drain(server: Server, streams: ReadonlySet<Incoming>): Promise<void> {
  const endStreams = setTimeout(() => {
    for (const { timer } of streams)
      timer.abort(new ServiceError('unavailable', 'This instance stops. Go on elsewhere.'))
  }, streamsDrainMs)
  try {
    await new Promise<void>((resolve, reject) => server.tryShutdown((error) => (error ? reject(error) : resolve())))
  } finally {
    clearTimeout(endStreams)
  }
}

function register(
  server: Server,
  { service, handlers }: Implementation,
  stack: readonly Layer[],
  app: App,
  streams: Set<Incoming>,
): void {
  for (const method of service.methods) {
    const handler = handlers[method.localName]
    if (!handler) throw new Error(`${service.typeName} has no handler for ${method.localName}: give one to implement()`)
    // Bytes pass through as they are, so that a request that cannot be read is answered as the caller's mistake.
    const raw = { serialize: (bytes: Buffer) => bytes, deserialize: (bytes: Buffer) => bytes }
    const run = streamingHandler(method, handler as AnyHandler, stack, app, streams) as handleUnaryCall<Buffer, Buffer>
    server.register(`/${service.typeName}/${method.name}`, run, raw.serialize, raw.deserialize, typeOf(method))
  }
}

type AnyHandler = (request: unknown, call: Call) => unknown
type AnyCall = ServerUnaryCall<Buffer, Buffer> &
  ServerReadableStream<Buffer, Buffer> &
  ServerWritableStream<Buffer, Buffer> &
  ServerDuplexStream<Buffer, Buffer>

/** One function for the four kinds: one request or many in, one answer or many out. */
function streamingHandler(
  method: DescMethod,
  handler: AnyHandler,
  stack: readonly Layer[],
  app: App,
  streams: Set<Incoming>,
) {
  const streamsIn = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming'
  const streamsOut = method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming'
  const name = `${method.parent.typeName}/${method.name}`
  const encode = (message: unknown) =>
    Buffer.from(toBinary(method.output, create(method.output, message as MessageInitShape<DescMessage>)))
  return (call: AnyCall, answer: sendUnaryData<Buffer>) => {
    const inward = incoming(name, call.metadata, Number(call.getDeadline()), app.log)
    const gone = () => inward.timer.abort(goneReason(inward))
    call.on('cancelled', gone)
    if (streamsIn || streamsOut) streams.add(inward)
    // The caller, and the proxies between, learn at once that the stream is open, however long its first answer takes.
    if (streamsOut) call.sendMetadata(new Metadata())
    const handle = async () => {
      const request = streamsIn ? decodeAll(method.input, call) : decode(method.input, call.request)
      const result = handler(request, { signal: inward.timer.signal, metadata: call.metadata })
      if (streamsOut) await writeAll(call, result as AsyncIterable<unknown>, encode, inward.timer.signal)
      else answer(null, encode(await result))
    }
    through(stack, inward, handle)
      .catch((thrown: unknown) => refuse(call, streamsOut ? undefined : answer, inward, thrown))
      .finally(() => {
        streams.delete(inward)
        // Every call is told to be cancelled once it is over, which is no news to anyone. But requests that break off end
        // like those that are complete, and only then is the call cancelled.
        if (!streamsIn) call.off('cancelled', gone)
      })
  }
}

/** A caller whose time is up goes away too, often a moment before our own timer. */
function goneReason({ timer: { deadline } }: Incoming): ServiceError {
  const timeIsUp = deadline !== null && performance.now() >= deadline.atMs - clockSlackMs
  if (timeIsUp) return new ServiceError('deadline-exceeded', 'The caller waited as long as it could.')
  return new ServiceError('cancelled', 'The caller went away.')
}

function refuse(call: AnyCall, answer: sendUnaryData<Buffer> | undefined, inward: Incoming, thrown: unknown): void {
  const refusal = toGrpcStatus(ServiceError.from(thrown), inward.correlationId)
  if (answer) answer(refusal)
  else call.emit('error', refusal)
}

function decode(schema: DescMessage, bytes: Buffer): unknown {
  try {
    return fromBinary(schema, bytes)
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    throw invalidArgument(`The bytes are no ${schema.typeName}: ${reason}. Encode the request with its contract.`)
  }
}

/** Whoever stops reading leaves the stream open: the refusal, or the answers, are still to be written to it. */
async function* decodeAll(schema: DescMessage, call: AnyCall): AsyncIterable<unknown> {
  for await (const bytes of call.iterator({ destroyOnReturn: false })) yield decode(schema, bytes)
}

function typeOf(method: DescMethod): string {
  switch (method.methodKind) {
    case 'unary':
      return 'unary'
    case 'server_streaming':
      return 'serverStream'
    case 'client_streaming':
      return 'clientStream'
    case 'bidi_streaming':
      return 'bidi'
  }
}

async function bind(server: Server, address: Address): Promise<void> {
  clearSocket(address)
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(formatAddress(address), ServerCredentials.createInsecure(), (error) => {
      if (error) reject(new Error(`gRPC cannot listen at ${formatAddress(address)}`, { cause: error }))
      else resolve()
    })
  })
  protectSocket(address)
}
