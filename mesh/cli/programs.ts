import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Plan } from '#plan/plan.ts'

/** What to do about a service without a program. */
export const programsMend =
  "Write it, or say in the declaration how the service starts: start: module('…') or command('…')."

/** The services whose module is not there, a line each with the place where it was looked for. A command is not looked into. */
export function missingPrograms({ services }: Plan, rootDir: string): readonly string[] {
  return services.flatMap(({ name, start }) => {
    if (start.kind !== 'module') return []
    const file = join(rootDir, start.file)
    return existsSync(file) ? [] : [`${name} starts ${file}`]
  })
}
