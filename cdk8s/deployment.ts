import type { Plan } from '#plan/plan.ts'
import { type Mesh, type Settings, siteOf } from '#providers/cluster.ts'
import { type Files, filesOfComponents } from './files.ts'
import { gitopsFiles } from './gitops/gitops.ts'
import { needsOf, type Operators, operatorsFor } from './operators.ts'
import { render } from './render.ts'
import { toYaml } from './yaml.ts'

/**
 * Everything that stands in `charts/rendered/<environment>/<mesh>/`: the system's objects by wave, and beside them what
 * Argo CD and Flux need to install the operators and then the waves. `operators` is the whole list of the environment.
 */
export function deploymentFiles(plan: Plan, mesh: Mesh, settings: Settings, operators: Operators): Files {
  const chosen = operatorsFor(operators, mesh, needsOf(plan, settings))
  const components = render(plan, mesh, settings)
  const gitops = gitopsFiles(siteOf(plan, mesh, settings), components, chosen)
  return new Map([
    ...filesOfComponents(components),
    ...gitops.map(({ path, objects }) => [path, toYaml(objects)] as const),
  ])
}
