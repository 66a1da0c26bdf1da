import { resolve } from 'node:path'
import type { Command } from 'commander'
import { bundle } from '#cluster/bundle/bundle.ts'
import { derive } from '#plan/derive.ts'
import { loadSystem } from './load.ts'
import { print, systemOption } from './output.ts'

/** `parley bundle --out DIR`: the files of the container image, as the Dockerfile makes them. */
export function bundleCommand(program: Command): void {
  program
    .command('bundle')
    .description('bundle the modules that the system starts, as the container image has them')
    .option(...systemOption)
    .requiredOption('--out <dir>', 'where to; what is there is replaced')
    .option('--run-dir <dir>', 'where the files will be when they run', '/app')
    .action(async (options: { system?: string; out: string; runDir: string }) => {
      const { system, rootDir } = await loadSystem(options.system)
      const plan = derive(system, 'kind')
      const modules = await bundle({ plan, rootDir, outDir: resolve(options.out), runDir: options.runDir })
      print(modules.join('\n'))
    })
}
