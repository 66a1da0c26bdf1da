import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Settings } from '#providers/cluster.ts'
import { must, type Runner } from './command.ts'

/** What is built, and where it goes. */
export type ImageRequest = {
  readonly run: Runner
  /** The checkout with its Dockerfile. */
  readonly rootDir: string
  /** The system's file, from the checkout's root. */
  readonly system: string
  readonly image: Settings['image']
  /** The name of the cluster of kind. */
  readonly cluster: string
  readonly onLine: (line: string) => void
  readonly signal?: AbortSignal
}

/**
 * Builds the services' image and puts it onto the cluster's nodes. Its tag is what it contains: equal sources give the same tag,
 * so that no pod restarts for nothing, and the build and the load of what is there already take no time.
 * @throws ClusterError TOOL_FAILED, INTERRUPTED
 */
export async function deliverImage(request: ImageRequest): Promise<Settings['image']> {
  const { run, cluster, onLine, signal } = request
  const options = { onLine, ...(signal && { signal }) }
  const id = await build(request)
  const image = { ...request.image, tag: id.replace(/^sha256:/, '').slice(0, 12), digest: null }
  const name = `${image.repository}:${image.tag}`
  await must(run, 'docker', ['tag', id, name], options)
  await must(run, 'kind', ['load', 'docker-image', name, '--name', cluster], options)
  return image
}

async function build({ run, rootDir, system, onLine, signal }: ImageRequest): Promise<string> {
  const scratch = mkdtempSync(join(tmpdir(), 'parley-image-'))
  const idFile = join(scratch, 'id')
  // An attestation would carry the time, and so change the identity of an unchanged image.
  const args = ['build', '--provenance=false', '--build-arg', `SYSTEM=${system}`, '--iidfile', idFile, '.']
  try {
    await must(run, 'docker', args, {
      cwd: rootDir,
      env: { DOCKER_BUILDKIT: '1', BUILDKIT_PROGRESS: 'plain' },
      onLine,
      ...(signal && { signal }),
    })
    return readFileSync(idFile, 'utf8').trim()
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}
