import type { ChildProcess } from 'node:child_process'

/** Ends a process that a scenario started, and waits until it is gone. */
export async function end(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}
