import { unversionedPath, versionedPath } from '#graph/version.ts'
import type { RunUrl } from '#local/supervisor/status.ts'
import type { MethodRef, Plan, PlannedExposure } from '#plan/plan.ts'

/** What a person is told when a system is up: where it is reached, what to try, and how to go on. */
export function welcome(plan: Plan, urls: readonly RunUrl[], how: string): string {
  const width = Math.max(0, ...urls.map(({ name }) => name.length))
  const lines = urls.map(({ name, url }) => {
    const words = spokenBy(plan, ({ service }) => service === name)
    return `  ${name.padEnd(width)}  ${url}${words && `  ${words}`}`
  })
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

/** What is spoken at some ways in, such as "gRPC and gRPC-Web"; empty where there is none. */
export function spokenBy(plan: Plan, at: (exposure: PlannedExposure) => boolean): string {
  const kinds = new Map(plan.services.flatMap(({ apis }) => apis.map(({ name, kind }) => [name, kind])))
  const words = plan.exposures.filter(at).map(({ api, grpcWeb }) => {
    const kind = kinds.get(api)
    return kind === 'rest' ? 'REST' : kind === 'graphql' ? 'GraphQL' : grpcWeb ? 'gRPC-Web' : 'gRPC'
  })
  return [...new Set(words)].join(' and ')
}

/** A command for each route of the first exposure that speaks HTTP; those of the others would fill the screen. */
function tries(plan: Plan, urls: readonly RunUrl[]): string[] {
  const http = plan.services.filter(({ protocol }) => protocol === 'http').map(({ name }) => name)
  const exposure = plan.exposures.find(({ service }) => http.includes(service))
  const base = urls.find(({ name }) => name === exposure?.service)?.url
  return exposure && base ? curls(exposure, base) : []
}

/** A command for each route of an exposure that is reached at `base`, in its newest version. */
export function curls({ methods, versions }: PlannedExposure, base: string): string[] {
  const newest = versions.at(-1)?.name ?? ''
  const bare = new Set(methods.map(({ verb, path }) => `${verb} ${unversionedPath(path)}`))
  return methods
    .filter(({ verb, path }) => !path.startsWith('/openapi') && !bare.has(`${verb} ${path}`))
    .map((method) => curl({ ...method, path: versionedPath(method.path, newest) }, base))
}

const bodies: Readonly<Record<string, string>> = {
  'POST /api/v2/orders': '{"customerId":"c-1","lines":[{"productId":"p-1","quantity":2}]}',
}

const queries: Readonly<Record<string, string>> = {
  'GET /api/v2/quotes': '?country=DE&weightGrams=1500',
  'GET /api/v2/orders': '?customerId=c-1',
}

function curl({ verb, path, streaming }: MethodRef, base: string): string {
  const route = `${verb} ${path}`
  const url = `${base}${path}${queries[route] ?? ''}`
  const target = /[{}?&]/.test(url) ? `'${url}'` : url
  if (verb === 'GET') return `curl ${streaming ? '-N ' : ''}${target}`
  const known = bodies[route]
  const [body, key] = known === undefined ? ['{}', ''] : [known, " -H 'idempotency-key: k1'"]
  return `curl -i ${verb === 'POST' ? '' : `-X ${verb} `}${target} -H 'content-type: application/json'${key} -d '${body}'`
}
