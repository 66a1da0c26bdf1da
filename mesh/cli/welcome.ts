import type { RunUrl } from '#local/supervisor/status.ts'
import type { MethodRef, Plan } from '#plan/plan.ts'

/** What a person is told when a system is up: where it is reached, what to try, and how to go on. */
export function welcome(plan: Plan, urls: readonly RunUrl[], how: string): string {
  const width = Math.max(0, ...urls.map(({ name }) => name.length))
  const lines = urls.map(({ name, url }) => `  ${name.padEnd(width)}  ${url}`)
  return [
    '',
    `${plan.system} ${how}.`,
    '',
    ...lines,
    '',
    ...tries(plan, urls).map((line) => `  ${line}`),
    '',
    '  bin/parley status · bin/parley logs -f · bin/parley stop NAME · bin/parley down',
  ].join('\n')
}

/** A command for each exposed route, the shop's with what they need to succeed. gRPC is not typed by hand. */
function tries(plan: Plan, urls: readonly RunUrl[]): string[] {
  return plan.exposures.flatMap(({ service, api, methods }) => {
    const base = urls.find(({ name }) => name === service)?.url
    const offered = plan.services.find(({ name }) => name === service)?.apis.find(({ name }) => name === api)
    if (!base || !offered || offered.kind === 'grpc') return []
    // A REST interface's own description is no route of it.
    const routes = methods.filter(({ path }) => offered.methods.some((each) => each.path === path))
    return routes.map((method) => curl(method, base))
  })
}

const bodies: Readonly<Record<string, string>> = {
  'POST /api/v1/orders': '{"customerId":"c-1","items":[{"productId":"p-1","quantity":2}]}',
}

const queries: Readonly<Record<string, string>> = { 'GET /api/v1/quotes': '?country=DE&weightGrams=1500' }

/** A command that tries a route of what is reached at `base`. */
export function curl({ verb, path, streaming }: MethodRef, base: string): string {
  const route = `${verb} ${path}`
  const url = `${base}${path}${queries[route] ?? ''}`
  const target = /[{}?&]/.test(url) ? `'${url}'` : url
  if (verb === 'GET') return `curl ${streaming ? '-N ' : ''}${target}`
  const known = bodies[route]
  const [body, key] = known === undefined ? ['{}', ''] : [known, " -H 'idempotency-key: k1'"]
  return `curl -i ${verb === 'POST' ? '' : `-X ${verb} `}${target} -H 'content-type: application/json'${key} -d '${body}'`
}
