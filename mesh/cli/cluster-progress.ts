import type { ClusterEvent } from '#mesh/cluster/up.ts'
import type { Progress } from './progress.ts'

/** Shows the steps to a system on a cluster: a line a step, one that changes in place on a terminal, and the reason of every standstill. */
export function clusterReporter(progress: Progress): (event: ClusterEvent) => void {
  const say = (text: string): void => progress.say(`${progress.elapsed().padStart(8)}  ${text}`)
  const clear = (what: string): void => progress.show({ kind: 'tool', what, state: 'working', detail: ' ' })
  return (event) => {
    switch (event.kind) {
      case 'step':
        clear(event.step)
        return say(
          event.state === 'begun' ? `${event.step}: ${event.detail}` : `${event.step} ✓ ${event.detail}`.trimEnd(),
        )
      case 'detail':
        return progress.show({ kind: 'tool', what: event.step, state: 'working', detail: event.detail })
      case 'note':
        return say(`  ${event.text}`)
      case 'why':
        return say(
          ['  Nothing has changed for a while:', ...event.lines.map((line) => `${' '.repeat(14)}${line}`)].join('\n'),
        )
    }
  }
}

/** A controller that Ctrl-C aborts; what was done stays, and the next run continues. */
export function interruptedBySignals(told: () => void): AbortController {
  const interrupt = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (!interrupt.signal.aborted) told()
      interrupt.abort()
    })
  }
  return interrupt
}
