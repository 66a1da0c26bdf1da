/** What the linters find and we keep, each with its reason. Nothing else may be found. */

/** A finding that is kept: by its id, and only in the environments where the reason holds. */
export type LintSkip = {
  readonly id: string
  readonly environments: readonly ('kind' | 'production')[]
  /** The only objects for which it is kept; absent for all. */
  readonly objects?: readonly string[]
  readonly reason: string
}

const everywhere = ['kind', 'production'] as const

/** kube-score fails a container without a CPU limit, and has a switch for exactly that. */
export const kubeScoreFlags: Readonly<Record<string, string>> = {
  '--ignore-container-cpu-limit':
    'A CPU limit throttles: it turns load into latency. CPU is requested, and memory limited.',
}

/** Tests of kube-score that do not fit. */
export const kubeScoreSkips: readonly LintSkip[] = [
  {
    id: 'container-image-pull-policy',
    environments: everywhere,
    reason:
      'Production names images by digest, which cannot change behind its name: to ask the registry at every start only ties ' +
      'each start to it. On kind the image was loaded into the nodes, and is in no registry.',
  },
  {
    id: 'networkpolicy-targets-pod',
    environments: everywhere,
    reason:
      'It looks for pods in the same files; those of brokers, databases and gateways are made by their operators.',
  },
  {
    id: 'pod-probes-identical',
    environments: everywhere,
    objects: ['stocks', 'words'],
    reason:
      'Services in other languages, which have no admin port: that they accept connections is all that can be asked of ' +
      'them. Both probes ask it; the one that restarts waits five times as long.',
  },
]

/** Checks of checkov that do not fit. */
export const checkovSkips: readonly LintSkip[] = [
  {
    id: 'CKV_K8S_11',
    environments: everywhere,
    reason: 'A CPU limit throttles: it turns load into latency. CPU is requested, and memory limited.',
  },
  {
    id: 'CKV_K8S_15',
    environments: everywhere,
    reason:
      'Images by digest cannot change behind their name, and on kind the image is in no registry: see kube-score.',
  },
  {
    id: 'CKV_K8S_43',
    environments: ['kind'],
    reason: 'An image that was built a moment ago and loaded into the nodes has no digest of a registry.',
  },
]

/** Messages of `istioctl analyze` that are kept, by their code. */
export const analyzeSkips: Readonly<Record<string, string>> = {
  IST0133: 'Every EnvoyFilter draws it. Rate limits, bodies and refusals have no other API in Istio.',
  IST0134:
    'An external over TCP is declared by its name, whose addresses nobody knows beforehand: its sidecars take the whole ' +
    'port for it, which the declaration is told of where two externals share one.',
}

/** The ids that are skipped in an environment for all objects. */
export function skippedIn(environment: 'kind' | 'production', skips: readonly LintSkip[]): readonly string[] {
  return skips.filter((skip) => isKept(skip, skip.id, environment)).map(({ id }) => id)
}

/** Whether a finding is kept: for all objects, or for the one that is named. */
export function isKept(skip: LintSkip, id: string, environment: 'kind' | 'production', object?: string): boolean {
  const here = skip.objects === undefined || (object !== undefined && skip.objects.includes(object))
  return skip.id === id && skip.environments.includes(environment) && here
}
