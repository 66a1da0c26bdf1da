import { isDeepStrictEqual } from 'node:util'
import type { Component, Wave } from '#cdk8s/component.ts'
import type { Manifest } from '#providers/manifest.ts'
import { messageOf, refusal } from './answers.ts'
import { concurrently } from './concurrently.ts'
import type { ApiResponse, Connection } from './connection.ts'
import { ClusterError, type ClusterProblem } from './failure.ts'
import { fieldManager, inFlightMax, keyOf, nameOf } from './inventory.ts'
import { type Kind, type Kinds, pathOf, resourceOf } from './kinds.ts'
import type { Live } from './readiness.ts'

/** What became of an object: `changed` and `unchanged` where it was there before. */
export type Applied = {
  readonly object: Manifest
  readonly outcome: 'created' | 'changed' | 'unchanged'
}

/** How objects are applied. */
export type ApplyOptions = {
  /** The server checks everything and writes nothing. */
  readonly dryRun: boolean
  /** The objects as they were before, by their key. */
  readonly before: ReadonlyMap<string, Live>
  readonly report: (applied: Applied) => void
}

/** What every wave's end is told: counts, and what went wrong. */
export type WaveResult = {
  readonly wave: Wave
  readonly applied: readonly Applied[]
  readonly failures: readonly { readonly object: Manifest; readonly error: ClusterError }[]
}

const conflictAttempts = 4

/**
 * Applies one wave by server-side apply: namespaces first, then everything else, a few at once. All failures are
 * collected; none stops the others of its wave. Fields of ours that somebody else has changed become ours again; other fields stay as they are.
 * @throws ClusterError UNREACHABLE, UNAUTHENTICATED, INTERRUPTED: what would hit all others too
 */
export async function applyWave(
  connection: Connection,
  kinds: Kinds,
  wave: Wave,
  objects: readonly Manifest[],
  options: ApplyOptions,
): Promise<WaveResult> {
  const applied: Applied[] = []
  const failures: { object: Manifest; error: ClusterError }[] = []
  const absent = new Set<string>()
  const one = async (object: Manifest): Promise<void> => {
    try {
      const done = await applyObject(connection, kinds, object, options, absent)
      applied.push(done)
      options.report(done)
    } catch (error) {
      if (!(error instanceof ClusterError) || endsAll.includes(error.code)) throw error
      failures.push({ object, error })
    }
  }
  const isNamespace = ({ kind }: Manifest): boolean => kind === 'Namespace'
  for (const namespace of objects.filter(isNamespace)) await one(namespace)
  await concurrently(
    objects.filter((object) => !isNamespace(object)),
    inFlightMax,
    one,
  )
  return { wave, applied, failures }
}

const endsAll: readonly ClusterProblem[] = ['UNREACHABLE', 'UNAUTHENTICATED', 'INTERRUPTED']

/** Every kind that is rendered must be known before the first object is applied: half a system is worse than none. */
export function requireKinds(kinds: Kinds, components: readonly Component[]): void {
  const missing = new Map<string, string>()
  for (const { objects } of components) {
    for (const object of objects) {
      if (!kinds.of(object)) missing.set(`${object.apiVersion} ${object.kind}`, missingKind(kinds, object))
    }
  }
  if (missing.size === 0) return
  throw new ClusterError(
    'OPERATOR_MISSING',
    `The cluster does not know ${missing.size === 1 ? 'a kind' : `${missing.size} kinds`} of what is to be applied:\n${[...missing.values()].map((line) => `  ${line}`).join('\n')}\nNothing was applied. Install what brings them (charts/operators lists each chart with its version; bin/parley up --target kind installs them on kind), then run it again.`,
  )
}

function missingKind({ all }: Kinds, { apiVersion, kind }: Manifest): string {
  const group = apiVersion.split('/').at(-2) ?? ''
  const other = all.filter((one) => one.group === group && one.kind === kind).map(({ version }) => version)
  return other.length > 0
    ? `${kind} of ${apiVersion}: it has ${other.join(', ')} only, of another version of its operator`
    : `${kind} of ${apiVersion}`
}

async function applyObject(
  connection: Connection,
  kinds: Kinds,
  object: Manifest,
  { dryRun, before }: ApplyOptions,
  absent: Set<string>,
): Promise<Applied> {
  const kind = kinds.of(object)
  if (!kind) throw new ClusterError('OPERATOR_MISSING', `The cluster has no ${object.kind} of ${object.apiVersion}.`)
  const was = before.get(keyOf(object)) ?? (await sharedBefore(connection, kind, object))
  const answer = await patchUntilAlone(connection, kind, object, dryRun, absent)
  if (answer.status === 201) return { object, outcome: 'created' }
  if (answer.status !== 200) throw refused(connection, kind, object, answer)
  const same = was && isDeepStrictEqual(contentOf(was), contentOf(answer.body as Live))
  return { object, outcome: same ? 'unchanged' : 'changed' }
}

/** What several systems share, such as a GatewayClass, belongs to none of them, and so is in no inventory. */
async function sharedBefore(connection: Connection, kind: Kind, { metadata }: Manifest): Promise<Live | undefined> {
  if (metadata.labels?.['app.kubernetes.io/part-of'] !== undefined) return undefined
  const path = pathOf(kind, metadata.namespace, metadata.name)
  const { status, body } = await connection.request({ method: 'GET', path })
  return status === 200 ? (body as Live) : undefined
}

/** What was asked for. Controllers write status all the time, and a dry run writes no version. */
function contentOf({ metadata, status: _, ...fields }: Live): unknown {
  return { ...fields, metadata: { ...metadata, managedFields: null, resourceVersion: null, generation: null } }
}

async function patchUntilAlone(
  connection: Connection,
  kind: Kind,
  object: Manifest,
  dryRun: boolean,
  absent: Set<string>,
): Promise<ApiResponse> {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await patch(connection, kind, object, dryRun, absent)
    if (answer.status !== 409 || attempt >= conflictAttempts) return answer
  }
}

/**
 * A dry run makes no namespaces, so what stands in one that is not there yet is checked in `default` instead, where
 * everything but Pod Security and quotas holds the same.
 */
async function patch(
  connection: Connection,
  kind: Kind,
  object: Manifest,
  dryRun: boolean,
  absent: Set<string>,
): Promise<ApiResponse> {
  const { namespace, name } = object.metadata
  const instead = dryRun && namespace !== undefined && absent.has(namespace) ? 'default' : namespace
  const query = `fieldManager=${fieldManager}&force=true${dryRun ? '&dryRun=All' : ''}`
  const answer = await connection.request({
    method: 'PATCH',
    path: `${pathOf(kind, instead, name)}?${query}`,
    body: instead === namespace ? object : { ...object, metadata: { ...object.metadata, namespace: instead } },
    contentType: 'application/apply-patch+yaml',
  })
  const lacksNamespace = answer.status === 404 && /^namespaces ".*" not found$/.test(messageOf(answer))
  if (!dryRun || namespace === undefined || instead !== namespace || !lacksNamespace) return answer
  absent.add(namespace)
  return patch(connection, kind, object, dryRun, absent)
}

function refused(connection: Connection, kind: Kind, object: Manifest, answer: ApiResponse): ClusterError {
  const { namespace } = object.metadata
  const error = refusal(connection, { verb: 'patch', resource: resourceOf(kind), namespace }, answer)
  if (error.code !== 'INVALID') return error
  const immutable = /immutable|may not be changed|Forbidden: updates to/.test(messageOf(answer))
  const next = immutable ? ' It cannot be changed in place: delete it, then apply again.' : ''
  return new ClusterError('INVALID', `${nameOf(object)} is refused: ${messageOf(answer)}${next}`)
}
