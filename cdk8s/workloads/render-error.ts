/** Something declared that a cluster cannot have. The message names it and the next step. */
export class RenderError extends Error {
  override readonly name = 'RenderError'
}
