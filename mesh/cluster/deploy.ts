import { type Component, type Wave, waves } from '#cdk8s/component.ts'
import type { Manifest } from '#providers/manifest.ts'
import { type Applied, applyWave, requireKinds, type WaveResult } from './apply.ts'
import type { Connection } from './connection.ts'
import { ClusterError } from './failure.ts'
import { keyOf, nameOf, type Owned, ownedBy } from './inventory.ts'
import { discoverKinds, type Kinds } from './kinds.ts'
import { leftovers, removeAll } from './prune.ts'
import { type WaitOptions, type WaitProgress, waitUntilReady } from './wait.ts'

/** What happens on the way, for whoever shows it. */
export type DeployEvent =
  | { readonly kind: 'applied'; readonly wave: Wave; readonly done: number; readonly of: number }
  | ({ readonly kind: 'waiting'; readonly wave: Wave } & WaitProgress)
  | { readonly kind: 'wave'; readonly wave: Wave; readonly applied: readonly Applied[] }
  | { readonly kind: 'pruning'; readonly objects: readonly string[]; readonly dryRun: boolean }
  | { readonly kind: 'note'; readonly text: string }

/** What is deployed, and how. */
export type DeployRequest = {
  readonly system: string
  readonly components: readonly Component[]
  readonly dryRun: boolean
  /** Removes what is rendered no longer. What holds data is only told of. */
  readonly prune: boolean
  /** Waits until each wave is ready before the next one; otherwise the objects are only applied. */
  readonly wait: Omit<WaitOptions, 'report'> | null
  readonly report: (event: DeployEvent) => void
}

/** How many objects were created, changed and left as they were, and which were removed. */
export type DeployResult = {
  readonly created: number
  readonly changed: number
  readonly unchanged: number
  readonly removed: number
}

/**
 * Applies a system in waves, waits for each, and at the end for all of it. Running it again continues: what is
 * there already stays as it is.
 * @throws ClusterError OPERATOR_MISSING before anything is applied; INCOMPLETE with what was applied and what was not; STUCK
 */
export async function deploy(connection: Connection, request: DeployRequest): Promise<DeployResult> {
  const { system, components, dryRun, report } = request
  const kinds = await discoverKinds(connection)
  requireKinds(kinds, components)
  const objects = components.flatMap((component) => component.objects)
  const inventory = await ownedBy(connection, kinds, system, namespacesOf(objects))
  const before = new Map(inventory.owned.map(({ object }) => [keyOf(object), object]))
  const done: Applied[] = []
  for (const wave of waves) {
    const wanted = components.filter((one) => one.wave === wave).flatMap((one) => one.objects)
    let count = 0
    const result = await applyWave(connection, kinds, wave, wanted, {
      dryRun,
      before,
      report: () => {
        count += 1
        report({ kind: 'applied', wave, done: count, of: wanted.length })
      },
    }).catch((error: unknown) => {
      throw cutShort(error, done.length + count, objects.length, dryRun)
    })
    done.push(...result.applied)
    if (result.failures.length > 0) throw incomplete(result, done.length, objects.length, dryRun)
    report({ kind: 'wave', wave, applied: result.applied })
    if (!dryRun && request.wait) await gate(connection, kinds, wave, wanted, request.wait, report)
  }
  const removed = await prune(connection, request, inventory, objects)
  if (!dryRun && request.wait) await settle(connection, kinds, objects, request.wait, report)
  return { ...counts(done), removed }
}

/** The policies of the first wave may point to what comes later, such as a route to its service; only namespaces must be there. */
async function gate(
  connection: Connection,
  kinds: Kinds,
  wave: Wave,
  objects: readonly Manifest[],
  wait: Omit<WaitOptions, 'report'>,
  report: (event: DeployEvent) => void,
): Promise<void> {
  const awaited = wave === 'policies' ? objects.filter(({ kind }) => kind === 'Namespace') : objects
  await waitUntilReady(connection, kinds, awaited, {
    ...wait,
    report: (progress) => report({ kind: 'waiting', wave, ...progress }),
  })
}

async function settle(
  connection: Connection,
  kinds: Kinds,
  objects: readonly Manifest[],
  wait: Omit<WaitOptions, 'report'>,
  report: (event: DeployEvent) => void,
): Promise<void> {
  await waitUntilReady(connection, kinds, objects, {
    ...wait,
    report: (progress) => report({ kind: 'waiting', wave: 'observability', ...progress }),
  })
}

async function prune(
  connection: Connection,
  { dryRun, prune: wished, report }: DeployRequest,
  { owned, unseen }: { readonly owned: readonly Owned[]; readonly unseen: readonly string[] },
  objects: readonly Manifest[],
): Promise<number> {
  const { removable, kept } = leftovers(owned, new Set(objects.map(keyOf)))
  const names = removable.map(({ object }) => nameOf(object)).sort()
  if (kept.length > 0) {
    const list = kept.map(({ object }) => nameOf(object)).sort()
    report({ kind: 'note', text: `No longer declared, but left because it holds data: ${list.join(', ')}` })
  }
  if (names.length === 0) return 0
  if (!wished) {
    report({ kind: 'note', text: `No longer declared; --prune removes: ${names.join(', ')}` })
    return 0
  }
  if (unseen.length > 0)
    report({ kind: 'note', text: `May hold more that is old, but may not be listed: ${unseen.join(', ')}` })
  report({ kind: 'pruning', objects: names, dryRun })
  if (!dryRun) await removeAll(connection, removable)
  return removable.length
}

function namespacesOf(objects: readonly Manifest[]): readonly string[] {
  return [...new Set(objects.flatMap(({ metadata }) => metadata.namespace ?? []))]
}

function counts(done: readonly Applied[]): Omit<DeployResult, 'removed'> {
  const of = (outcome: Applied['outcome']): number => done.filter((one) => one.outcome === outcome).length
  return { created: of('created'), changed: of('changed'), unchanged: of('unchanged') }
}

const failuresShown = 10

function incomplete({ wave, failures }: WaveResult, done: number, all: number, dryRun: boolean): ClusterError {
  const messages = [...new Set(failures.map(({ error }) => error.message))]
  const more = messages.length > failuresShown ? [`and ${messages.length - failuresShown} more like these`] : []
  const lines = [...messages.slice(0, failuresShown), ...more].map((line) => `  ${line.replaceAll('\n', '\n  ')}`)
  const [first] = failures
  const same = failures.every(({ error }) => error.code === first?.error.code)
  return new ClusterError(
    same && first ? first.error.code : 'INCOMPLETE',
    `${failures.length === 1 ? 'An object' : `${failures.length} objects`} of the wave ${wave} ${dryRun ? 'would be refused' : 'could not be applied'}:\n${lines.join('\n')}\n${balance(done, all, dryRun)}`,
  )
}

function cutShort(error: unknown, done: number, all: number, dryRun: boolean): unknown {
  if (!(error instanceof ClusterError)) return error
  return new ClusterError(error.code, `${error.message}\n${balance(done, all, dryRun)}`, { cause: error })
}

function balance(done: number, all: number, dryRun: boolean): string {
  if (dryRun) return `${done} of ${all} objects passed. Nothing was written.`
  return `${done} of ${all} objects are applied, ${all - done} are not. Mend it and apply again: it continues from here.`
}
