import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { ClientDuplexStream, ServiceError as GrpcFailure } from '@grpc/grpc-js'
import { currentSignal } from '../context.ts'
import {
  type CallOptions,
  callOptions,
  cancelWith,
  failureOf,
  type Outgoing,
  observed,
  outgoingMetadata,
} from './call.ts'
import { writeAll } from './stream-writing.ts'

type Init = MessageInitShape<DescMessage>
type Sent = ClientDuplexStream<Init, unknown>

/** A call whose request or answer streams. On the wire the kinds differ only in how many messages go each way. */
export function streamingCall(call: Outgoing) {
  const streamsIn = call.method.methodKind !== 'server_streaming'
  if (call.method.methodKind === 'client_streaming') {
    return (requests: AsyncIterable<Init>, options: CallOptions = {}) =>
      observed(call, async () => {
        let answer: unknown
        // To the very end: the status comes after the answer, and may be a refusal.
        for await (const found of exchange(call, requests, options)) answer = found
        if (answer === undefined) throw failureOf(call, null)
        return answer
      })
  }
  return (input: Init | AsyncIterable<Init>, options: CallOptions = {}) =>
    exchange(call, streamsIn ? (input as AsyncIterable<Init>) : only(input as Init), options)
}

async function* only(message: Init): AsyncIterable<Init> {
  yield message
}

/** Sends and receives at the same time. Ends the call when the one who reads stops reading. */
async function* exchange(call: Outgoing, requests: AsyncIterable<Init>, options: CallOptions): AsyncIterable<unknown> {
  const { channel, method } = call
  const encode = (message: Init) => Buffer.from(toBinary(method.input, create(method.input, message)))
  const decode = (bytes: Buffer) => fromBinary(method.output, bytes) as unknown
  const path = `/${method.parent.typeName}/${method.name}`
  const sent: Sent = channel.makeBidiStreamRequest(path, encode, decode, outgoingMetadata(), callOptions(call))
  const stopListening = cancelWith(sent, options.signal)
  // What ends the sending ends the reading too, so the reader is the one who hears of it. A callee that has answered to the
  // end wants no more requests, so nobody waits for the rest of them.
  void writeAll(sent, requests, (message) => message, currentSignal()).catch(
    (thrown: unknown) => void sent.destroy(thrown as Error),
  )
  try {
    for await (const answer of sent) yield answer
  } catch (thrown) {
    throw isGrpcFailure(thrown) ? failureOf(call, thrown) : thrown
  } finally {
    stopListening()
    sent.cancel()
  }
}

function isGrpcFailure(thrown: unknown): thrown is GrpcFailure {
  return thrown instanceof Error && 'code' in thrown && 'metadata' in thrown
}
