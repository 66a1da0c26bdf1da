import type { App } from '../app/lifecycle.ts'
import { pause } from '../app/pause.ts'
import type { ConsumeOptions, Kafka, Consumer as Member } from '../kafka/port.ts'
import type { Log } from '../telemetry/log.ts'
import { metric } from '../telemetry/semantics.ts'
import { gauge } from '../telemetry/telemetry.ts'
import type { Consumer } from './consumer.ts'
import { deliverTo } from './delivery.ts'

/** How long after a refusal the broker is asked again. */
const rejoinMs = 5_000

/** How a process takes part in a group. */
export type Membership = Omit<ConsumeOptions, 'signal'>

/** The groups of some consumers; those of one group share a membership. */
export function membershipsOf(consumers: readonly Consumer[], log: Log): readonly Membership[] {
  return [...Map.groupBy(consumers, ({ policy }) => policy.group)].map(([group, its]) => optionsOf(group, its, log))
}

/** The running memberships. */
export type Groups = {
  /** The membership of a group, once it has been joined. */
  member(group: string): Member | undefined
  close(): Promise<void>
}

/**
 * Joins every consumer group in the background. A broker that is away is waited
 * for by the membership itself. One that refuses this service is asked again, for permissions and certificates get mended.
 */
export function startGroups(
  app: Pick<App, 'node' | 'log' | 'readyWhen'>,
  kafka: Kafka | null,
  groups: readonly Membership[],
): Groups {
  const closing = new AbortController()
  const members = new Map<string, Member>()
  const refused = new Map<string, string>()
  const joins = groups.map(async (options) => {
    const { groupId: group } = options
    while (kafka && !closing.signal.aborted) {
      try {
        members.set(group, await kafka.consume({ ...options, signal: closing.signal }))
        refused.delete(group)
        return
      } catch (error) {
        refused.set(group, error instanceof Error ? error.message : String(error))
        app.log.error('A consumer group cannot be joined; it is tried again.', { group, error })
        await pause(rejoinMs, closing.signal)
      }
    }
  })
  // What is exposed can be served without the broker: the outbox keeps what is said meanwhile.
  const servesAlone = (app.node.spec.exposes ?? []).length > 0
  if (groups.length > 0) {
    app.readyWhen('consumers', () => {
      if (refused.size > 0) return [...refused].map(([group, reason]) => `group ${group}: ${reason}`).join('; ')
      return servesAlone || members.size === groups.length ? undefined : 'joining their groups'
    })
  }
  const forget = gauge(metric.consumerLag, '1', () =>
    [...members.values()].flatMap((member) =>
      member.lag().map(({ topic, partition, lag }) => ({ value: lag, attributes: { topic, partition } })),
    ),
  )
  return {
    member: (group) => members.get(group),
    async close() {
      closing.abort()
      forget()
      await Promise.all(joins)
      await Promise.all([...members.values()].map((member) => member.close()))
    },
  }
}

function optionsOf(group: string, consumers: readonly Consumer[], log: Log): Membership {
  const [first] = consumers
  if (!first) throw new Error(`The group ${group} has no consumer.`)
  return {
    groupId: group,
    topics: consumers.map(({ topic }) => topic.name),
    from: 'earliest',
    partitionsAtOnce: consumers.reduce((sum, { policy }) => sum + policy.concurrency, 0),
    batchMax: 100,
    gatherMs: Math.min(...consumers.map(({ policy }) => policy.gatherMs)),
    backoff: backoffOf(consumers),
    handle: deliverTo({
      group,
      database: first.database,
      log,
      consumers: new Map(consumers.map((each) => [each.topic.name, each])),
    }),
  }
}

/** Partitions of one group wait alike: the shortest first wait and the longest last one of its edges. */
function backoffOf(consumers: readonly Consumer[]): { firstMs: number; maxMs: number } {
  const backoffs = consumers.map(({ policy }) => policy.redelivery.backoff)
  return {
    firstMs: Math.min(...backoffs.map(({ baseMs }) => baseMs)),
    maxMs: Math.max(...backoffs.map(({ maxMs }) => maxMs)),
  }
}
