/** The option of every command that works on a system. */
export const systemOption = ['--system <file>', 'the file that exports the system (default: mesh/shop.ts)'] as const

/** Writes a text and a line's end to standard output. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
