import type { CallGrant } from '#plan/grants.ts'
import type { Plan } from '#plan/plan.ts'
import { type Config, extension } from './config.ts'
import { pathMatch } from './match.ts'

/** The filter that lets exactly the granted calls of a service in, one policy a grant; all else is refused. */
export function authorization(plan: Plan, service: string): Config {
  const granted = plan.grants.calls.filter((grant) => grant.to === service)
  const policies = granted.map((grant) => [`${grant.from} ${grant.verb} ${grant.path}`, policy(plan, grant)] as const)
  return extension('envoy.filters.http.rbac', 'extensions.filters.http.rbac.v3.RBAC', {
    rules: { action: 'ALLOW', policies: Object.fromEntries(policies) },
  })
}

/** What every identity of the system begins with; anything else is refused before a request is read. */
export function identityPrefix(plan: Plan): string {
  return `spiffe://${plan.trustDomain}/ns/${plan.namespace}/sa/`
}

/** The identity of a service. Throws on a name that the plan lacks. */
export function identityOf(plan: Plan, service: string): string {
  const found = plan.services.find((candidate) => candidate.name === service)
  if (!found) throw new Error(`the plan of ${plan.system} has no service ${service}`)
  return found.identity.spiffe
}

function policy(plan: Plan, grant: CallGrant): Config {
  const verb = { header: { name: ':method', string_match: { exact: grant.verb } } }
  const path = { url_path: { path: pathMatch(grant.path) } }
  return {
    permissions: [{ and_rules: { rules: [path, verb] } }],
    principals: [{ authenticated: { principal_name: { exact: identityOf(plan, grant.from) } } }],
  }
}
