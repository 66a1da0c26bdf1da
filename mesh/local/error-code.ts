/**
 * The code that an error carries, such as `ENOENT` or an SQLSTATE; undefined where it has none. It asks for no class:
 * errors of Node's own are of another realm where tests run.
 */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return error.code === undefined ? undefined : String(error.code)
}
