import type { RunUrl } from '#local/supervisor/status.ts'
import type { Plan } from '#plan/plan.ts'

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

/** A command for each exposed route, the shop's with a body that places an order. */
function tries(plan: Plan, urls: readonly RunUrl[]): string[] {
  return plan.exposures.flatMap(({ service, api }) => {
    const base = urls.find(({ name }) => name === service)?.url
    const methods =
      plan.services.find(({ name }) => name === service)?.apis.find(({ name }) => name === api)?.methods ?? []
    return base ? methods.map(({ verb, path }) => curl(verb, `${base}${path}`)) : []
  })
}

const bodies: Readonly<Record<string, string>> = {
  'POST /api/v1/orders': '{"customerId":"c-1","items":[{"productId":"p-1","quantity":2}]}',
}

/** A command that tries a route. */
export function curl(verb: string, url: string): string {
  const target = /[{}]/.test(url) ? `'${url}'` : url
  if (verb === 'GET') return `curl ${target}`
  const body = bodies[`${verb} ${new URL(url).pathname}`] ?? '{}'
  const key = verb === 'POST' ? " -H 'idempotency-key: k1'" : ''
  return `curl -i ${verb === 'POST' ? '' : `-X ${verb} `}${target} -H 'content-type: application/json'${key} -d '${body}'`
}
