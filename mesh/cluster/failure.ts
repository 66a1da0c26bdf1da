/** Every code with its meaning; the page of codes in the documentation is written from it. Codes never change their meaning. */
export const clusterProblems = {
  PREFLIGHT:
    'Something that a run on kind stands on is missing, too old, too small or taken. All of it is listed at once.',
  TOOL_FAILED: 'docker, kind or helm ended with an error; its last lines are shown.',
  UNREACHABLE: 'The API server of the context does not answer.',
  UNAUTHENTICATED: 'The API server does not accept who the kubeconfig says we are.',
  FORBIDDEN: 'The identity of the kubeconfig lacks a right; the verb and the resource are named.',
  OPERATOR_MISSING: 'The cluster does not know a kind of object, because the operator that brings it is not installed.',
  INVALID: 'The API server, or a webhook of an operator, refuses an object as it is.',
  CONFLICT: 'Another writer keeps changing the same fields of an object.',
  INCOMPLETE: 'Some objects were applied and some were not; both are counted. Applying again continues.',
  STUCK: 'Objects were applied, but something does not become ready; the newest event or log line says why.',
  SMOKE: 'Everything is ready, but the order that was placed to prove it was not shipped.',
  INTERRUPTED: 'Ended by a signal. What was done stays, and the next run continues from it.',
} as const

/** What can go wrong on a cluster, by a stable code. */
export type ClusterProblem = keyof typeof clusterProblems

/** A run on a cluster failed. The message is meant for a person: what, where, and the next step. */
export class ClusterError extends Error {
  override readonly name = 'ClusterError'
  readonly code: ClusterProblem

  constructor(code: ClusterProblem, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** The kubeconfig, or what was asked of it, is wrong. The message says what there is instead. */
export class WrongContext extends Error {
  override readonly name = 'WrongContext'
}
