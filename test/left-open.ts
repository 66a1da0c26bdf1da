import { ChildProcess } from 'node:child_process'
import { Socket } from 'node:net'

/** How long the process may take to end after its last test: what closes in the background has closed by then. */
const graceMs = 10_000

/**
 * Jest's reporter of a run whose tests are over and which does not end: it ends the run and fails it. What something left open
 * (a server, a socket, a child process, a timer) it would leave open in a service, too. Says what it is, and after which test
 * file it was first there.
 */
export default class LeftOpen {
  readonly #firstSeen = new WeakMap<object, string>()

  onTestResult({ path }: { readonly path: string }): void {
    for (const handle of activeHandles()) if (!this.#firstSeen.has(handle)) this.#firstSeen.set(handle, path)
  }

  onRunComplete(): void {
    // It does not itself keep the process.
    setTimeout(() => this.#end(), graceMs).unref()
  }

  #end(): void {
    const lines = activeHandles().map(
      (handle) => `  ${describe(handle)}, first seen after ${this.#firstSeen.get(handle) ?? 'the last test'}`,
    )
    console.error(
      [
        `The tests are over, but after ${graceMs / 1000} s something still keeps the process: close it where it was opened.`,
        `  ${process.getActiveResourcesInfo().join(', ')}`,
        ...lines,
      ].join('\n'),
    )
    process.exit(1)
  }
}

function describe(handle: object): string {
  const name = handle.constructor.name
  if (handle instanceof ChildProcess) return `${name} ${handle.pid} (${handle.spawnargs.join(' ')})`
  if (!(handle instanceof Socket)) return name
  const { localAddress, localPort, remoteAddress, remotePort } = handle
  return `${name} ${localAddress}:${localPort} → ${remoteAddress}:${remotePort}`
}

/** The objects behind what keeps the process; Node has no documented way to them. */
function activeHandles(): readonly object[] {
  const { _getActiveHandles } = process as unknown as { readonly _getActiveHandles: () => readonly object[] }
  return _getActiveHandles.call(process)
}
