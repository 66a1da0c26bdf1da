import { lstatSync, mkdirSync } from 'node:fs'
import { RunFailure } from './failure.ts'

/**
 * Makes a folder that is ours alone, or finds that the one that is there is: no link, our own, mode 0700. A run's sockets
 * may lie in the machine's folder for temporary files, under a name that anybody can foresee and make first.
 * @throws RunFailure
 */
export function makeOwnFolder(dir: string, ownUid = process.getuid?.()): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const found = lstatSync(dir)
  const mode = found.mode & 0o777
  const wrong = found.isSymbolicLink()
    ? 'it is a link'
    : found.uid !== ownUid
      ? `it belongs to the user of number ${found.uid}`
      : mode !== 0o700
        ? `its mode is 0${mode.toString(8)}, and must be 0700`
        : null
  if (wrong === null) return
  throw new RunFailure(
    `${dir} is where the run's sockets go, but others may reach into it: ${wrong}. See what made it, remove it and try again; or keep the run's state under a shorter path (--state), and its sockets lie there.`,
  )
}
