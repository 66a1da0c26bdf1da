/**
 * What can stop the toolchain, by a stable code:
 * `UNSUPPORTED_SYSTEM` this machine cannot run it, or not without a person's help · `MISSING_RIGHTS` packages must be
 * installed and we may not · `INSTALL_FAILED` apt-get failed · `FETCH_FAILED` a registry client failed ·
 * `HASH_MISMATCH` what came is not what is pinned · `LOCKED` another fetch did not end.
 */
export type ToolchainProblem =
  | 'UNSUPPORTED_SYSTEM'
  | 'MISSING_RIGHTS'
  | 'INSTALL_FAILED'
  | 'FETCH_FAILED'
  | 'HASH_MISMATCH'
  | 'LOCKED'

/** The toolchain is not complete. The message is meant for a person: what is wrong, where, and the next step. */
export class ToolchainError extends Error {
  override readonly name = 'ToolchainError'
  readonly code: ToolchainProblem

  constructor(code: ToolchainProblem, message: string) {
    super(message)
    this.code = code
  }
}
