import type { Plan } from '#plan/plan.ts'
import { type Mesh, type Settings, type Site, siteOf } from '#providers/cluster.ts'
import { nameProblems } from './schema.ts'
import { namesSchemaOf } from './settings-schema.ts'
import { RenderError } from './workloads/render-error.ts'

/**
 * The site on which a plan is rendered. Throws a RenderError where the settings name services or exposures that the plan does
 * not have: a word of theirs would silently change nothing.
 */
export function checkedSite(plan: Plan, mesh: Mesh, settings: Settings): Site {
  const { hosts, replicas } = namesSchemaOf(plan).properties
  const problems = [
    ...Object.keys(settings.hosts).flatMap((name) => nameProblems(name, hosts, 'hosts')),
    ...Object.keys(settings.replicas).flatMap((name) => nameProblems(name, replicas, 'replicas')),
  ]
  if (problems.length > 0) {
    const lines = problems.map((problem) => `  ${problem}`)
    throw new RenderError(
      `The settings of ${plan.environment} name what ${plan.system} does not have:\n${lines.join('\n')}\nCorrect them, or give the settings of ${plan.system} with --settings.`,
    )
  }
  return siteOf(plan, mesh, settings)
}
