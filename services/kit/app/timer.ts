import { runAsMessage } from '../context.ts'
import type { Closable } from './admin.ts'
import type { App } from './lifecycle.ts'

/**
 * Does something again and again, `everyMs` after it last ended, until it is closed; closing waits for what is under way.
 * A failure is logged and the next turn tries again: such work is always about what is still to do.
 */
export async function every(everyMs: number, app: Pick<App, 'log'>, work: () => Promise<unknown>): Promise<Closable> {
  let closed = false
  let underWay: Promise<unknown> = Promise.resolve()
  let timer = setTimeout(turn, everyMs)
  function turn(): void {
    underWay = runAsMessage(undefined, work)
      .catch((error: unknown) => app.log.error('Repeated work failed; it is tried again.', { error, everyMs }))
      .finally(() => {
        if (!closed) timer = setTimeout(turn, everyMs)
      })
  }
  return {
    async close() {
      closed = true
      clearTimeout(timer)
      await underWay
    },
  }
}
