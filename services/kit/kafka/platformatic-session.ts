import { type Consumer, type GroupAssignment, ListOffsetTimestamps, type Producer } from '@platformatic/kafka'
import { type ConsumerSession, membership, type SessionSink } from './consumer.ts'
import { kafkaError, type Refusal } from './failure.ts'
import { keyOf } from './lanes.ts'
import { settledWithin } from './limit.ts'
import type { ConsumeOptions, IncomingRecord, PartitionOffset, TopicPartition } from './port.ts'
import type { Sockets } from './sockets.ts'

/**
 * A broker answers the requests of one connection in their order. With a connection each, a fetch that waits for records
 * does not hold up heartbeats, nor a join that waits for other members the commits.
 */
export type SessionClients = { readonly group: Consumer; readonly reader: Consumer; readonly committer: Consumer }

/**
 * A group membership on @platformatic/kafka. Fetches by itself: the library's own stream has no pause for a single
 * partition, so one that waits for its backoff would either stop the others or fill the memory.
 */
export class PlatformaticSession implements ConsumerSession {
  readonly #group: Consumer
  readonly #reader: Consumer
  readonly #committer: Consumer
  readonly #sockets: Sockets
  readonly #refusal: Refusal
  readonly #options: ConsumeOptions
  readonly #sink: SessionSink
  /** Where to fetch next, for each partition owned. A new map for each assignment: loops of an old one end by it. */
  #positions = new Map<string, PartitionOffset>()
  #wake = Promise.withResolvers<void>()
  #closed = false
  #ended: Promise<void> | undefined

  constructor(clients: SessionClients, sockets: Sockets, refusal: Refusal, options: ConsumeOptions, sink: SessionSink) {
    this.#sockets = sockets
    this.#group = clients.group
    this.#reader = clients.reader
    this.#committer = clients.committer
    this.#refusal = refusal
    this.#options = options
    this.#sink = sink
    for (const client of Object.values(clients)) {
      for (const topic of options.topics) client.topics.track(topic)
      client.on('error', (error) => sink.lost(error))
    }
  }

  async start(): Promise<void> {
    this.#group.on('consumer:group:join', ({ memberId, assignments }) => {
      this.#assign(memberId, assignments ?? []).catch((error: unknown) => this.#sink.lost(error))
    })
    await this.#refusal.unless(this.#group.joinGroup())
  }

  async commit(offsets: readonly PartitionOffset[]): Promise<void> {
    this.#committer.memberId = this.#group.memberId
    this.#committer.generationId = this.#group.generationId
    await this.#committer.commit({ offsets: offsets.map((offset) => ({ ...offset, leaderEpoch: -1 })) })
  }

  hold(_partition: TopicPartition, hold: boolean): void {
    if (hold) return
    this.#wake.resolve()
    this.#wake = Promise.withResolvers<void>()
  }

  close(): Promise<void> {
    this.#ended ??= this.#close()
    return this.#ended
  }

  async #close(): Promise<void> {
    this.#closed = true
    this.#positions = new Map()
    this.#wake.resolve()
    const left = this.#leave()
    // Told below, where it is known in time: a broker that is gone has lost this member anyway.
    left.catch(() => undefined)
    const told = this.#group.isConnected() && (await settledWithin(membership.leaveLimitMs, left))
    // Otherwise closing leaves once more, and stays open where that is refused.
    this.#group.memberId = null
    await endClients([this.#group, this.#reader, this.#committer], this.#sockets)
    if (told) await left
  }

  /** Closing would leave, too, but lets a join under way go on: once that is answered its heartbeats begin, and fail for good. */
  async #leave(): Promise<void> {
    await this.#group.leaveGroup(true)
  }

  async #assign(member: string, assignments: readonly GroupAssignment[]): Promise<void> {
    const partitions = assignments.flatMap(({ topic, partitions }) =>
      partitions.map((partition) => ({ topic, partition })),
    )
    const kept = new Map(this.#sink.assign(member, partitions).map((position) => [keyOf(position), position]))
    const positions = new Map(kept)
    this.#positions = positions
    const fresh = partitions.filter((partition) => !kept.has(keyOf(partition)))
    for (const position of await this.#begin(fresh)) positions.set(keyOf(position), position)
    const nodes = new Set<number>()
    await this.#readFrom(positions, nodes)
  }

  /** Where the member says that it stands, otherwise where the group does. */
  async #begin(partitions: readonly TopicPartition[]): Promise<PartitionOffset[]> {
    const chosen = partitions.length > 0 ? ((await this.#options.startAt?.(partitions)) ?? []) : []
    const keys = new Set(chosen.map(keyOf))
    return [...chosen, ...(await this.#committed(partitions.filter((each) => !keys.has(keyOf(each)))))]
  }

  /** Where the group stands, or where it begins by `from`. */
  async #committed(partitions: readonly TopicPartition[]): Promise<PartitionOffset[]> {
    if (partitions.length === 0) return []
    const byTopic = Map.groupBy(partitions, ({ topic }) => topic)
    const topics = [...byTopic].map(([topic, own]) => ({ topic, partitions: own.map(({ partition }) => partition) }))
    const committed = await this.#group.listCommittedOffsets({ topics })
    const found = partitions.map((each) => ({ ...each, offset: committed.get(each.topic)?.[each.partition] ?? -1n }))
    const unknown = found.filter(({ offset }) => offset < 0n)
    return [...found.filter(({ offset }) => offset >= 0n), ...(await this.#outset(unknown))]
  }

  async #outset(partitions: readonly TopicPartition[]): Promise<PartitionOffset[]> {
    if (partitions.length === 0) return []
    const timestamp = this.#options.from === 'earliest' ? ListOffsetTimestamps.EARLIEST : ListOffsetTimestamps.LATEST
    const byTopic = Map.groupBy(partitions, ({ topic }) => topic)
    const wanted = Object.fromEntries(
      [...byTopic].map(([topic, own]) => [topic, own.map(({ partition }) => partition)]),
    )
    const offsets = await this.#reader.listOffsets({ topics: [...byTopic.keys()], partitions: wanted, timestamp })
    return partitions.map((each) => ({ ...each, offset: offsets.get(each.topic)?.[each.partition] ?? 0n }))
  }

  /** Runs one loop for each broker that leads a partition, until the assignment changes. */
  async #readFrom(positions: Map<string, PartitionOffset>, nodes: Set<number>): Promise<void> {
    for (const node of (await this.#byLeader(positions)).keys()) {
      if (nodes.has(node)) continue
      nodes.add(node)
      this.#loop(node, positions, nodes).catch((error: unknown) => {
        if (this.#positions === positions && !this.#closed) this.#sink.lost(error)
      })
    }
  }

  async #loop(node: number, positions: Map<string, PartitionOffset>, nodes: Set<number>): Promise<void> {
    let answeredMs = performance.now()
    while (this.#positions === positions && !this.#closed) {
      try {
        await this.#read(node, positions)
        // A broker that has become a leader since gets a loop of its own.
        await this.#readFrom(positions, nodes)
        answeredMs = performance.now()
      } catch (error) {
        const outlasted = performance.now() - answeredMs > membership.patienceMs
        if (outlasted || kafkaError(error, 'Fetching').code !== 'UNAVAILABLE') throw error
        await pause()
      }
    }
  }

  async #read(node: number, positions: Map<string, PartitionOffset>): Promise<void> {
    const { promise: woken } = this.#wake
    const led = (await this.#byLeader(positions)).get(node) ?? []
    const wanted = led.filter((position) => !this.#sink.held(position))
    if (wanted.length === 0) await Promise.race([woken, pause()])
    else await this.#fetch(node, wanted, positions)
  }

  async #fetch(node: number, wanted: readonly PartitionOffset[], positions: Map<string, PartitionOffset>) {
    const { topics } = await this.#metadata()
    const names = new Map([...topics].map(([name, { id }]) => [id, name]))
    const requests = [...Map.groupBy(wanted, ({ topic }) => topic)].map(([topic, own]) => ({
      topicId: topics.get(topic)?.id ?? '',
      partitions: own.map(({ partition, offset }) => request(partition, offset)),
    }))
    const response = await this.#reader
      .fetch({
        node,
        topics: requests,
        minBytes: 1,
        maxBytes: membership.fetchBytesMax,
        maxWaitTime: membership.fetchWaitMs,
      })
      .catch((error: unknown) => this.#outOfRange(error, names, positions))
    if (response === undefined || this.#positions !== positions) return
    const caughtUp = this.#deliver(response, names, positions)
    const { gatherMs } = this.#options
    if (caughtUp && gatherMs) await Promise.race([this.#wake.promise, pause(gatherMs)])
  }

  /** Answers whether it brought the last record of a partition. */
  #deliver(
    response: FetchResponse,
    names: ReadonlyMap<string, string>,
    positions: Map<string, PartitionOffset>,
  ): boolean {
    let caughtUp = false
    for (const { topicId, partitions } of response.responses) {
      const topic = names.get(topicId)
      if (topic === undefined) continue
      for (const { partitionIndex: partition, highWatermark, records: batches } of partitions) {
        const key = keyOf({ topic, partition })
        const from = positions.get(key)?.offset
        const last = batches?.at(-1)
        if (from === undefined || batches == null || last === undefined) continue
        const offset = last.firstOffset + BigInt(last.lastOffsetDelta) + 1n
        positions.set(key, { topic, partition, offset })
        caughtUp ||= offset >= highWatermark
        this.#sink.offer(
          { topic, partition },
          batches.flatMap((batch) => incoming(batch, from)),
          highWatermark,
        )
      }
    }
    return caughtUp
  }

  /** The records at an offset were deleted (retention): the partition goes on where `from` says. Other errors pass. */
  async #outOfRange(error: unknown, names: ReadonlyMap<string, string>, positions: Map<string, PartitionOffset>) {
    const refused = refusedPartitions(error, names)
    if (refused.length === 0) throw error
    for (const position of await this.#outset(refused)) positions.set(keyOf(position), position)
    return undefined
  }

  async #byLeader(positions: ReadonlyMap<string, PartitionOffset>): Promise<Map<number, PartitionOffset[]>> {
    const { topics } = await this.#metadata()
    return Map.groupBy(
      positions.values(),
      ({ topic, partition }) => topics.get(topic)?.partitions[partition]?.leader ?? -1,
    )
  }

  #metadata() {
    return this.#reader.metadata({ topics: [...this.#options.topics] })
  }
}

/** Closes clients whatever their broker does. */
export async function endClients(clients: readonly (Consumer | Producer)[], sockets: Sockets): Promise<void> {
  // Closing waits for a broker to take what was written, and forgets connections that were opened beside one that failed.
  const closing = Promise.all(clients.map((client) => client.close(true)))
  sockets.destroy()
  await closing
}

type FetchResponse = Awaited<ReturnType<Consumer['fetch']>>
type RecordsBatch = NonNullable<FetchResponse['responses'][number]['partitions'][number]['records']>[number]

const controlBatch = 0b10_0000
const logAppendTime = 0b1000
const offsetOutOfRange = 1

function incoming(batch: RecordsBatch, from: bigint): IncomingRecord[] {
  const { attributes, firstOffset, firstTimestamp, maxTimestamp, records } = batch
  if ((attributes & controlBatch) !== 0) return []
  // The broker writes its own time into the batch, and leaves those of the records.
  const appended = (attributes & logAppendTime) !== 0
  return (
    records
      .map(({ offsetDelta, timestampDelta, key, value, headers }) => ({
        offset: firstOffset + BigInt(offsetDelta),
        key: key?.toString() ?? '',
        value: value ?? Buffer.alloc(0),
        headers: Object.fromEntries(headers.map(([name, text]) => [String(name ?? ''), String(text ?? '')])),
        timestampMs: Number(appended ? maxTimestamp : firstTimestamp + timestampDelta),
      }))
      // A fetch begins with the whole batch that holds the offset.
      .filter(({ offset }) => offset >= from)
  )
}

function request(partition: number, fetchOffset: bigint) {
  const epochs = { currentLeaderEpoch: -1, lastFetchedEpoch: -1 }
  return { partition, fetchOffset, partitionMaxBytes: membership.partitionBytesMax, ...epochs }
}

function refusedPartitions(error: unknown, names: ReadonlyMap<string, string>): TopicPartition[] {
  if (!(error instanceof Error) || !('response' in error)) return []
  const { responses } = error.response as FetchResponse
  return responses.flatMap(({ topicId, partitions }) =>
    partitions
      .filter(({ errorCode }) => errorCode === offsetOutOfRange)
      .map(({ partitionIndex }) => ({ topic: names.get(topicId) ?? '', partition: partitionIndex })),
  )
}

function pause(ms: number = membership.fetchWaitMs): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
