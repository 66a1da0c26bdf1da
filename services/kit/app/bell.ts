/** Wakes one waiter. */
export type Bell = {
  ring(): void
  /** Waits for a ring, `ms` at most. A ring while nobody waited ends the next wait at once. */
  wait(ms: number): Promise<void>
}

/** Makes a bell that nobody has rung. */
export function createBell(): Bell {
  let rung = false
  let wake: (() => void) | undefined
  return {
    ring() {
      rung = true
      wake?.()
    },
    async wait(ms) {
      if (!rung) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      rung = false
      wake = undefined
    },
  }
}
