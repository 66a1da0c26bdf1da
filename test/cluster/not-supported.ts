import { notSupportedBy } from '#cdk8s/mesh-parts.ts'
import type { RenderedCase } from '../fixtures/rendered.ts'

/**
 * The exposures that a mesh cannot open as they are declared, and so leaves closed: each must be told of at render time.
 */
export function closedExposures({ plan, mesh }: Pick<RenderedCase, 'plan' | 'mesh'>): readonly string[] {
  if (mesh === 'istio') return []
  const told = notSupportedBy(plan, mesh)
  return plan.exposures
    .filter(({ name, authentication }) => {
      const said = told.some(({ where, what }) => where.includes(name) && /jwt|token/i.test(what))
      return authentication.kind === 'jwt' && said
    })
    .map(({ name }) => name)
}
