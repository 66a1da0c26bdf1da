import { replayGroup } from '#graph/names.ts'
import { createBell } from '../app/bell.ts'
import type { App } from '../app/lifecycle.ts'
import { pause } from '../app/pause.ts'
import { runAsMessage } from '../context.ts'
import type { ConsumeOptions, Kafka, Consumer as Member, PartitionOffset, TopicPartition } from '../kafka/port.ts'
import type { Membership } from '../messaging/groups.ts'
import { metric } from '../telemetry/semantics.ts'
import { gauge } from '../telemetry/telemetry.ts'
import { applyTo } from './batch.ts'
import { closeWindows, watermarkOf } from './closing.ts'
import { replayOperation, replayWays } from './operations.ts'
import { pruneStream } from './prune.ts'
import { catchUp, passDeleted } from './rebuild.ts'
import { createStream, generationsOf, ownPartitions, pairOf } from './state.ts'
import type { Stream } from './stream.ts'
import { swapWhenReady } from './swap.ts'

/** A stream that runs. */
export type RunningStream = {
  readonly membership: Membership
  /** Closes windows, and follows replays; `member` is this process's membership, once it has one. */
  attend(member: () => Member | undefined): void
  close(): Promise<void>
}

type StreamApp = Pick<App, 'log' | 'operate'>

const batchMax = 500
/** More than there are partitions, for a gathering one holds its place. */
const partitionsAtOnce = 64
/** Results wait for slow partitions anyway; far less than makes a partition idle. */
const fetchGatherMsMax = 200
const turnEveryMs = 1_000
const pruneEveryMs = 60_000
const afterFailureMs = 2_000
const rejoinMs = 5_000
const passDeletedEveryMs = 5_000

/** Makes a stream ready to be joined to its group, and offers `replay` to operators. */
export async function openStream(app: StreamApp, stream: Stream, kafka: Kafka): Promise<RunningStream> {
  await createStream(stream.database, stream.name)
  const closing = new AbortController()
  const bell = createBell()
  app.operate(
    'replay',
    replayOperation(stream, () => bell.ring()),
    replayWays,
  )
  const forget = observe(stream)
  let running: Promise<void> = Promise.resolve()
  return {
    membership: membershipOf(stream, stream.group, 'active', applyTo(stream, app.log, batchMax)),
    attend(member) {
      running = runAsMessage(undefined, () => attend({ app, stream, kafka, member, bell, signal: closing.signal }))
    },
    async close() {
      closing.abort()
      bell.ring()
      forget()
      await running
    },
  }
}

/** A partition begins where its generation stands, whatever the group has committed: that only tells others the lag. */
function membershipOf(
  stream: Stream,
  groupId: string,
  of: 'active' | 'building',
  handle: ConsumeOptions['handle'],
): Membership {
  const policies = [...stream.inputs.values()].map(({ policy }) => policy)
  const backoffs = policies.map(({ redelivery }) => redelivery.backoff)
  return {
    groupId,
    topics: [...stream.inputs.keys()],
    from: 'earliest',
    partitionsAtOnce,
    batchMax,
    gatherMs: Math.min(fetchGatherMsMax, stream.windows.idleMs / 50),
    backoff: {
      firstMs: Math.min(...backoffs.map(({ baseMs }) => baseMs)),
      maxMs: Math.max(...backoffs.map(({ maxMs }) => maxMs)),
    },
    startAt: (partitions) => standpoints(stream, of, partitions),
    handle,
  }
}

function standpoints(
  stream: Stream,
  of: 'active' | 'building',
  partitions: readonly TopicPartition[],
): Promise<PartitionOffset[]> {
  return stream.database.transaction(async (tx) => {
    const generations = await generationsOf(tx, stream.name, 'share')
    const wanted = pairOf(generations)[of]?.generation
    const known = await ownPartitions(tx, stream.name, partitions, of === 'active')
    return known
      .filter(({ generation }) => generation === wanted)
      .map(({ topic, partition, nextOffset }) => ({ topic, partition, offset: nextOffset }))
  })
}

type Attended = {
  readonly app: StreamApp
  readonly stream: Stream
  readonly kafka: Kafka
  readonly member: () => Member | undefined
  readonly bell: ReturnType<typeof createBell>
  readonly signal: AbortSignal
}

/** Everything beside the batches, again and again until the end. */
async function attend(given: Attended): Promise<void> {
  const { app, stream, member, bell, signal } = given
  let replaying: Replay | undefined
  let prunedMs = performance.now()
  let failures = 0
  while (!signal.aborted) {
    try {
      const more = await closeWindows(stream, quietOf(member()))
      replaying = await followReplay(given, replaying)
      if (performance.now() - prunedMs > pruneEveryMs) {
        await pruneStream(stream, new Date())
        prunedMs = performance.now()
      }
      failures = 0
      if (!more) await bell.wait(replaying ? turnEveryMs / 5 : turnEveryMs)
    } catch (error) {
      if (failures === 0)
        app.log.warn('A stream cannot close its windows now; it keeps trying.', { stream: stream.name, error })
      failures += 1
      await pause(afterFailureMs, signal)
    }
  }
  await replaying?.close()
}

/** The partitions of which nothing waits to be read. */
function quietOf(member: Member | undefined): readonly TopicPartition[] {
  if (!member) return []
  const lagging = new Set(member.lag().flatMap(({ topic, partition, lag }) => (lag > 0 ? `${topic}/${partition}` : [])))
  return member.assigned().filter(({ topic, partition }) => !lagging.has(`${topic}/${partition}`))
}

/** This process's part in a replay. */
type Replay = { readonly generation: number; readonly ended: () => boolean; close(): Promise<void> }

/** Takes part in a replay for as long as there is one, and ends it once it has come as far. */
async function followReplay(given: Attended, replay: Replay | undefined): Promise<Replay | undefined> {
  const { app, stream } = given
  const { building } = pairOf(await generationsOf(stream.database, stream.name))
  const swapped = building ? await swapWhenReady(stream) : undefined
  if (swapped) {
    const told = { stream: stream.name, ...swapped }
    app.log.info('A stream was rebuilt, and its new state has taken the place of the old one.', told)
  }
  const wanted = swapped ? undefined : building?.generation
  if (replay && replay.generation === wanted && !replay.ended()) return replay
  await replay?.close()
  return wanted === undefined ? undefined : joinReplay(given, wanted)
}

/** Joins in the background, for the broker may be away. */
function joinReplay({ app, stream, kafka }: Attended, generation: number): Replay {
  const closing = new AbortController()
  let refused = false
  const options = membershipOf(stream, replayGroup(stream.group), 'building', catchUp(stream, app.log, generation))
  const joining = kafka.consume({ ...options, signal: closing.signal }).catch(async (error: unknown) => {
    app.log.error('A replay cannot join its group; it is tried again.', { group: options.groupId, error })
    await pause(rejoinMs, closing.signal)
    refused = true
    return undefined
  })
  const passing = passDeletedUntil(closing.signal, { app, stream, kafka }, generation)
  return {
    generation,
    ended: () => refused,
    async close() {
      closing.abort()
      await passing
      await (await joining)?.close()
    },
  }
}

async function passDeletedUntil(
  signal: AbortSignal,
  { app, stream, kafka }: Pick<Attended, 'app' | 'stream' | 'kafka'>,
  generation: number,
): Promise<void> {
  while (!signal.aborted) {
    await passDeleted(stream, generation, kafka.beginnings).catch((error: unknown) => {
      app.log.warn('Where the logs of a replay begin cannot be asked now; it is tried again.', { error })
    })
    await pause(passDeletedEveryMs, signal)
  }
}

function observe(stream: Stream): () => void {
  return gauge(metric.streamLag, 's', async () => {
    const { active } = pairOf(await generationsOf(stream.database, stream.name))
    const now = new Date()
    const mark = active && (await watermarkOf(stream.database, stream, active.generation, now))
    // Before the first event there is no time to be behind of.
    if (mark == null || mark <= 0) return []
    return [{ value: Math.max(0, now.getTime() - mark) / 1_000, attributes: { stream: stream.name } }]
  })
}
