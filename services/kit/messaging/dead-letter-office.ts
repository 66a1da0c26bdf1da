import type { Connection } from 'rabbitmq-client'
import type { App } from '../app/lifecycle.ts'
import { metric } from '../telemetry/semantics.ts'
import { gauge } from '../telemetry/telemetry.ts'
import type { Consumer } from './consumer.ts'
import { startKeeper } from './dead-letter-keeper.ts'
import { deadLetterOperation, deadLetterWays } from './dead-letter-operation.ts'
import { countDeadLetters, pruneDeadLetters } from './dead-letters.ts'
import type { Transactions } from './handling.ts'
import { createReplayer } from './replay.ts'
import type { Worker } from './worker.ts'

type DeadLetterParts = {
  readonly database: Transactions
  readonly consumers: readonly Consumer[]
  readonly workers: readonly Worker[]
  readonly rabbitmq: Connection | null
}

const pruneEveryMs = 3_600_000
const keepMs = 90 * 86_400_000

/**
 * Everything about a service's dead letters: keeps those of its queues, counts what waits, offers `/dead-letters` to
 * operators, and forgets what was settled three months ago.
 */
export function startDeadLetters(
  app: Pick<App, 'log' | 'operate'>,
  { database, consumers, workers, rabbitmq }: DeadLetterParts,
): { close(): Promise<void> } {
  const { log } = app
  const closing = new AbortController()
  const destinations = [...consumers.map(({ topic }) => topic.name), ...workers.map(({ queue }) => queue.name)]
  if (destinations.length === 0) return { close: async () => {} }
  const replayer = createReplayer({ database, consumers, workers, log, signal: closing.signal })
  app.operate('dead-letters', deadLetterOperation(database, replayer, log), deadLetterWays)
  const dying = rabbitmq ? workers.filter(({ queue }) => queue.deadLetter) : []
  const keepers = dying.flatMap((worker) => (rabbitmq ? [startKeeper(worker, rabbitmq, log)] : []))
  const forget = gauge(metric.deadLettersWaiting, '1', async () => {
    const counts = new Map((await countDeadLetters(database)).map(({ destination, count }) => [destination, count]))
    return destinations.map((destination) => ({ value: counts.get(destination) ?? 0, attributes: { destination } }))
  })
  const prune = () => {
    pruneDeadLetters(database, keepMs).catch((error: unknown) =>
      log.warn('Settled dead letters could not be pruned.', { error }),
    )
  }
  const timer = setInterval(prune, pruneEveryMs)
  timer.unref()
  return {
    async close() {
      clearInterval(timer)
      forget()
      closing.abort()
      await Promise.all(keepers.map((keeper) => keeper.close()))
    },
  }
}
