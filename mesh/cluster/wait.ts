import { setTimeout as sleep } from 'node:timers/promises'
import type { Manifest } from '#providers/manifest.ts'
import { refusal } from './answers.ts'
import { concurrently } from './concurrently.ts'
import type { Connection } from './connection.ts'
import { ClusterError } from './failure.ts'
import { inFlightMax, nameOf } from './inventory.ts'
import { apiVersionOf, type Kind, type Kinds, pathOf, resourceOf } from './kinds.ts'
import { isJudged, type Live, type Readiness, readinessOf } from './readiness.ts'
import { troubleOf } from './trouble.ts'

/** How long is waited, and who is told. */
export type WaitOptions = {
  readonly pollMs: number
  /** Without any progress for so long, the cluster is asked why. */
  readonly quietMs: number
  /** Without any progress for so long, it is given up. */
  readonly stuckMs: number
  readonly signal?: AbortSignal
  readonly report: (progress: WaitProgress) => void
}

/** How far it is; `why` has lines where nothing has happened for a while. */
export type WaitProgress = {
  readonly ready: number
  readonly of: number
  readonly waiting: readonly Waiting[]
  readonly why: readonly string[]
}

/** An object that is not ready, with what it says itself. */
export type Waiting = { readonly object: Manifest; readonly readiness: Exclude<Readiness, { state: 'ready' }> }

/** Patience for people: a poll every two seconds, the reason after half a minute, an end after ten without progress. */
export const waitDefaults = { pollMs: 2_000, quietMs: 30_000, stuckMs: 600_000 } as const

/**
 * Waits until every object is ready. Objects whose kind has no readiness are ready. It lists rather than watches, so that
 * no watch can stop silently: one list a kind and namespace each time.
 * @throws ClusterError STUCK with everything that is not ready and why, when nothing changes for `stuckMs` or something
 * failed for good; INTERRUPTED
 */
export async function waitUntilReady(
  connection: Connection,
  kinds: Kinds,
  objects: readonly Manifest[],
  options: WaitOptions,
): Promise<void> {
  const judged = objects.filter(({ apiVersion, kind }) => isJudged(apiVersion, kind))
  let movedMs = performance.now()
  let before = ''
  let why: readonly string[] = []
  for (;;) {
    const waiting = await stillWaiting(connection, kinds, judged)
    const now = JSON.stringify(waiting.map(({ object, readiness }) => [nameOf(object), readiness.reason]))
    if (now !== before) {
      movedMs = performance.now()
      why = []
    }
    before = now
    const quietFor = performance.now() - movedMs
    const failed = waiting.some(({ readiness }) => readiness.state === 'failed')
    if (quietFor >= options.quietMs || failed) why = await reasons(connection, waiting)
    options.report({ ready: judged.length - waiting.length, of: judged.length, waiting, why })
    if (waiting.length === 0) return
    if (failed || quietFor >= options.stuckMs) throw stuck(waiting, why, failed ? 0 : quietFor)
    await sleep(options.pollMs, undefined, { ...(options.signal && { signal: options.signal }) }).catch(() => {
      throw new ClusterError('INTERRUPTED', 'Interrupted while waiting.')
    })
  }
}

/** Those objects that are not ready now, in the order given. @throws ClusterError */
export async function stillWaiting(
  connection: Connection,
  kinds: Kinds,
  objects: readonly Manifest[],
): Promise<readonly Waiting[]> {
  const groups = Map.groupBy(objects, ({ apiVersion, kind, metadata }) => `${apiVersion} ${kind} ${metadata.namespace}`)
  const lists = await concurrently([...groups.values()], inFlightMax, async (group) => {
    const [first] = group
    const kind = first && kinds.of(first)
    const live = kind ? await namesIn(connection, kind, first.metadata.namespace) : new Map<string, Live>()
    return group.flatMap((object) => {
      const there = live.get(object.metadata.name)
      const readiness: Readiness = there ? readinessOf(there) : { state: 'waiting', reason: 'is not there' }
      return readiness.state === 'ready' ? [] : [{ object, readiness }]
    })
  })
  return lists.flat()
}

async function namesIn(
  connection: Connection,
  kind: Kind,
  namespace: string | undefined,
): Promise<ReadonlyMap<string, Live>> {
  const answer = await connection.request({ method: 'GET', path: pathOf(kind, namespace) })
  if (answer.status !== 200) {
    throw refusal(connection, { verb: 'list', resource: resourceOf(kind), namespace }, answer)
  }
  const items = (answer.body as { readonly items: readonly Live[] }).items ?? []
  return new Map(
    items.map((item) => [item.metadata.name, { ...item, apiVersion: apiVersionOf(kind), kind: kind.kind }]),
  )
}

const explainedMax = 5

async function reasons(connection: Connection, waiting: readonly Waiting[]): Promise<readonly string[]> {
  const first = [...waiting].sort((a, b) => urgency(a) - urgency(b)).slice(0, explainedMax)
  const lines = await Promise.all(
    first.map(async ({ object, readiness }) => [
      `${nameOf(object)}: ${readiness.reason}`,
      ...(await troubleOf(connection, object)).map((line) => `  ${line}`),
    ]),
  )
  const rest = waiting.length - first.length
  return [...lines.flat(), ...(rest > 0 ? [`and ${rest} more`] : [])]
}

function urgency({ readiness }: Waiting): number {
  return readiness.state === 'failed' ? 0 : 1
}

function stuck(waiting: readonly Waiting[], why: readonly string[], quietMs: number): ClusterError {
  const since = quietMs > 0 ? `, and nothing has changed for ${Math.round(quietMs / 1000)} s` : ''
  const what = waiting.length === 1 ? 'One object does' : `${waiting.length} objects do`
  return new ClusterError(
    'STUCK',
    `${what} not become ready${since}:\n${why.map((line) => `  ${line}`).join('\n')}\nEverything that was applied stays. Mend the cause and run it again: it continues from here.`,
  )
}
