/**
 * What goes into a container image: every module that a plan starts, bundled with what it imports, and the migrations
 * beside it. An image needs Node and these files, and no packages.
 */
import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { build, type Plugin, stop } from 'esbuild'
import type { Plan } from '#plan/plan.ts'

/** Where the files lie and go. All paths are absolute. */
export type BundleRequest = {
  readonly plan: Plan
  /** The folder to which the `start` paths of the plan are relative. */
  readonly rootDir: string
  readonly outDir: string
  /** Where `outDir` will be when the modules run. Default: `/app`, as in the Dockerfile. */
  readonly runDir?: string
}

/** The files that modules read as they run, each folder kept beside the code that names it. */
const dataFolders = ['migrations']

/** Bundles every module, replacing `outDir`. Equal sources give equal bytes. Returns the modules' paths in `outDir`. */
export async function bundle({ plan, rootDir, outDir, runDir = '/app' }: BundleRequest): Promise<readonly string[]> {
  const modules = modulesOf(plan)
  rmSync(outDir, { recursive: true, force: true })
  const { metafile } = await build({
    absWorkingDir: rootDir,
    entryPoints: [...modules],
    outdir: outDir,
    outbase: rootDir,
    bundle: true,
    splitting: true,
    chunkNames: 'shared/[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node24',
    sourcemap: 'linked',
    sourcesContent: false,
    minifySyntax: true,
    legalComments: 'none',
    // Packages in CommonJS ask for Node's own modules by a `require` that ES modules lack.
    banner: {
      js: "import { createRequire as parleyRequire } from 'node:module'; const require = parleyRequire(import.meta.url);",
    },
    metafile: true,
    logLevel: 'error',
    plugins: [ownFolder(rootDir, runDir)],
    // Its process would wait for more work, and whoever bundled with it.
  }).finally(() => stop())
  const folders = new Set(Object.keys(metafile.inputs).map((input) => dirname(input)))
  for (const folder of folders) copyData(rootDir, outDir, folder)
  return modules.map((file) => file.replace(/\.ts$/, '.js'))
}

/** The modules that a plan starts: its services', and its stand-ins' where they may run. */
function modulesOf(plan: Plan): readonly string[] {
  const starts = [
    ...plan.services.map(({ start }) => start),
    ...plan.externals.flatMap(({ standIn }) => (standIn ? [standIn.start] : [])),
  ]
  return [...new Set(starts.flatMap((start) => (start.kind === 'module' ? [start.file] : [])))].sort()
}

/** Keeps `import.meta.dirname` the folder of the source, where its data lie: bundled, it would be the chunk's. */
function ownFolder(rootDir: string, runDir: string): Plugin {
  return {
    name: 'own-folder',
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const text = readFileSync(path, 'utf8')
        if (path.includes('node_modules') || !text.includes('import.meta.dirname')) return undefined
        const folder = JSON.stringify(join(runDir, relative(rootDir, dirname(path))))
        return { contents: text.replaceAll('import.meta.dirname', folder), loader: 'ts' }
      })
    },
  }
}

function copyData(rootDir: string, outDir: string, folder: string): void {
  if (folder.includes('node_modules')) return
  for (const name of dataFolders) {
    const from = join(rootDir, folder, name)
    if (existsSync(from)) cpSync(from, join(outDir, folder, name), { recursive: true })
  }
}
