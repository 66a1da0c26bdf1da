import { setTimeout as sleep } from 'node:timers/promises'
import { kafkaError } from './failure.ts'
import { settledWithin } from './limit.ts'
import { KafkaError, type OutgoingRecord, type Producer, recordBytesMax } from './port.ts'

/** A client library's producer with one producer id. */
export type ProducerSession = {
  /** One request a broker. Keeps the producer id while it retries. */
  send(records: readonly OutgoingRecord[]): Promise<void>
  /** What its retries met last. */
  lastFailure(): string | undefined
  /** Waits for nothing, and makes sure that a retry under way writes nothing any more. */
  abandon(): void
  close(): Promise<void>
}

const reconnectAfterMs = 200
const closeLimitMs = 2_000

/**
 * What both adapters' producers share: sends one after the other, limits, and the deadline. After any failed send the
 * session is dropped and the next send begins with a new producer id. Otherwise kafkajs would give the sequence numbers
 * of the failed records, which may have been written, to the next ones: the broker would take those for repeats,
 * acknowledge them, and drop them.
 */
export function createProducer(open: () => Promise<ProducerSession>, deliveryTimeoutMs: number): Producer {
  let session: ProducerSession | undefined
  let tail: Promise<unknown> = Promise.resolve()
  let closed = false

  async function deliver(requests: readonly OutgoingRecord[][]): Promise<void> {
    const deadline = performance.now() + deliveryTimeoutMs
    for (const records of requests) {
      const doing = `Sending ${records.length} records to ${topicsOf(records)}`
      session ??= await openUntil(open, deadline, doing)
      try {
        await until(deadline, session.send(records), doing, session)
      } catch (error) {
        session.abandon()
        session = undefined
        throw kafkaError(error, doing)
      }
    }
  }

  return {
    async send(records) {
      if (closed) throw new KafkaError('CLOSED', 'This producer is closed: send before closing it.')
      const requests = splitRequests(records)
      const delivered = tail.then(() => deliver(requests))
      // The next send waits for this one, whichever way it ends; its failure is told to its own caller.
      tail = delivered.catch(() => undefined)
      await delivered
    },
    async close() {
      closed = true
      await tail
      if (session !== undefined) await settledWithin(closeLimitMs, session.close())
    },
  }
}

async function openUntil(open: () => Promise<ProducerSession>, deadline: number, doing: string) {
  for (;;) {
    const opening = open()
    try {
      return await until(deadline, opening, doing)
    } catch (cause) {
      const error = kafkaError(cause, doing)
      // Where it succeeds after all, nobody wants it any more; where it fails, that is known already.
      opening.then((late) => late.abandon()).catch(() => undefined)
      if (!error.retriable || performance.now() + reconnectAfterMs > deadline) throw error
      await sleep(reconnectAfterMs)
    }
  }
}

async function until<T>(deadline: number, promise: Promise<T>, doing: string, session?: ProducerSession): Promise<T> {
  if (await settledWithin(Math.max(0, deadline - performance.now()), promise)) return promise
  const last = session?.lastFailure()
  const reason = last === undefined ? '' : ` Its last attempt failed: ${last}.`
  throw new KafkaError('TIMED_OUT', `${doing} was not acknowledged in time: it may or may not be written.${reason}`)
}

/**
 * All records of a partition in one request form one batch to the broker, which limits it to 1 MiB by default
 * (`max.message.bytes`): requests stay below that, whatever the partitions.
 */
export function splitRequests(records: readonly OutgoingRecord[]): OutgoingRecord[][] {
  const requests: OutgoingRecord[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const record of records) {
    const size = sizeOf(record)
    if (size > recordBytesMax) {
      const what = `A record for ${record.topic} (key ${record.key}) has ${size} bytes`
      throw new KafkaError('RECORD_TOO_LARGE', `${what}; at most ${recordBytesMax} are allowed.`)
    }
    if (bytes + size > recordBytesMax) {
      requests.push([])
      bytes = 0
    }
    requests.at(-1)?.push(record)
    bytes += size
  }
  return requests
}

/** Key, value, headers, and the framing of each in the record format. */
function sizeOf({ key, value, headers }: OutgoingRecord): number {
  let bytes = 32 + Buffer.byteLength(key) + value.length
  for (const [name, text] of Object.entries(headers)) bytes += 8 + Buffer.byteLength(name) + Buffer.byteLength(text)
  return bytes
}

function topicsOf(records: readonly OutgoingRecord[]): string {
  return [...new Set(records.map((record) => record.topic))].join(', ')
}
