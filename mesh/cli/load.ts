import { existsSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { SystemNode } from '#graph/system.ts'
import { UsageError } from './exit.ts'

/** The checkout that this command belongs to. */
export const projectDir = fileURLToPath(new URL('../..', import.meta.url))

/** A system with the file that declares it and the folder to which its `start` paths are relative. */
export type LoadedSystem = { readonly system: SystemNode; readonly file: string; readonly rootDir: string }

/**
 * Loads the system that a file exports. Without a file it is the shop. Throws a UsageError when the file is not there,
 * cannot be run, or does not export exactly one system.
 */
export async function loadSystem(file?: string): Promise<LoadedSystem> {
  const path = file === undefined ? join(projectDir, 'mesh/shop.ts') : resolve(file)
  if (!isFile(path)) throw new UsageError(`There is no file ${path}. Give --system a file that exports a system.`)
  const exported = await importFile(path)
  const systems = Object.values(exported).filter(isSystem)
  const [system] = systems
  if (!system || systems.length > 1) {
    throw new UsageError(
      `${path} exports ${systems.length} systems; export exactly one: export const shop = system('shop', { … }).`,
    )
  }
  return { system, file: path, rootDir: packageDir(dirname(path)) }
}

async function importFile(path: string): Promise<Record<string, unknown>> {
  try {
    return await import(pathToFileURL(path).href)
  } catch (error) {
    if (isUnknownImport(error) && relative(projectDir, path).startsWith('..')) {
      throw new UsageError(
        `${path} is not in ${projectDir}, so its imports of # names, such as #graph/system.ts, lead nowhere. Put the system into that folder, such as under examples/.`,
        { cause: error },
      )
    }
    throw new UsageError(`${path} cannot be loaded: ${reasonOf(error)}`, { cause: error })
  }
}

function isUnknownImport(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_PACKAGE_IMPORT_NOT_DEFINED'
}

/** The message with the place that the stack names first: a line of the system, or of something that it imports. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const place = error.stack?.match(/file:\/\/(\/[^\s()]+?:\d+(?::\d+)?)/)?.[1]
  return place ? `${error.message}\n  at ${place}` : error.message
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}

function isSystem(value: unknown): value is SystemNode {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'system'
}

function packageDir(from: string): string {
  if (existsSync(join(from, 'package.json'))) return from
  const above = dirname(from)
  return above === from ? projectDir : packageDir(above)
}
