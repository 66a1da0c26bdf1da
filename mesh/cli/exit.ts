/** What a command's exit code says: 0 all is well, 1 the declaration has findings, 2 the command was used wrongly, 3 the run failed, 130 Ctrl-C. */
export const exitCodes = { fine: 0, findings: 1, usage: 2, failed: 3, interrupted: 130 } as const

/** The command was used wrongly. Its message says what to give instead; the command exits with 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
