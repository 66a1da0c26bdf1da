import type { SystemNode } from '#graph/system.ts'
import { allEdges } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'
import { list } from './text.ts'

/** The services that have an edge to a queue, by kind of the edge; each list sorted. */
export type QueueUsers = {
  readonly name: string
  readonly workers: string[]
  readonly senders: string[]
  readonly askers: string[]
}

/** Every queue that an edge names, with its users, by name. */
export function queueUsers(system: SystemNode): QueueUsers[] {
  const of = (kind: 'works' | 'sends' | 'asks') =>
    allEdges(system, kind).map(({ service, edge }) => ({ queue: edge.queue.name, service: service.name }))
  const [working, sending, asking] = [of('works'), of('sends'), of('asks')]
  const names = [...new Set([...working, ...sending, ...asking].map((use) => use.queue))].sort()
  const usersOf = (uses: typeof working, name: string) => [
    ...new Set(uses.filter((use) => use.queue === name).map((use) => use.service)),
  ]
  return names.map((name) => ({
    name,
    workers: usersOf(working, name),
    senders: usersOf(sending, name),
    askers: usersOf(asking, name),
  }))
}

/** One service works a queue. */
export const queueWorker = rule({
  code: 'PLY207',
  title: 'A queue is worked by exactly one service',
  why: 'A task is done by one worker. With two services each gets an arbitrary half of the tasks: what several must see is an event on a topic. With none, tasks pile up to the bound.',
  reference: 'Hohpe and Woolf, Enterprise Integration Patterns, "Competing Consumers"',
  acceptable: false,
  check: (system) =>
    queueUsers(system).flatMap(({ name, workers, senders, askers }) => {
      if (workers.length === 1) return []
      if (workers.length > 1) {
        return [
          {
            path: [`queue ${name}`, ...workers.map((worker) => `→ ${worker}`)],
            message: `The queue ${name} is worked by ${workers.length} services: ${list(workers)}.`,
            cost: `Each of them does about 1 of ${workers.length} tasks, and misses the others.`,
            mend: `Declare a \`topic\` that each of them \`consumes\`, or take \`works\` off ${list(workers.slice(1))}.`,
            owners: workers.map((worker) => serviceOwner({ name: worker })),
          },
        ]
      }
      const users = [...new Set([...senders, ...askers])].sort()
      return [
        {
          path: [`queue ${name}`, ...users.map((user) => `← ${user}`)],
          message: `${list(users)} put tasks into the queue ${name}, which nobody works.`,
          cost: 'Tasks pile up until the queue is full, then senders are refused.',
          mend: `Add \`works(${name})\` to the edges of the service that does the tasks.`,
          owners: users.map((user) => serviceOwner({ name: user })),
        },
      ]
    }),
})
