import { type Api, apiName, methodsOf } from '#graph/api.ts'
import type { CallStep } from '#graph/saga.ts'
import type { ServiceNode } from '#graph/service.ts'
import type { SystemNode } from '#graph/system.ts'
import { commandBreaches } from './command-wiring.ts'
import { byName, edgesOf } from './edges.ts'
import { type Breach, rule, serviceOwner } from './rule.ts'
import { inSystem, type Orchestration } from './saga-facts.ts'
import { list } from './text.ts'

/** An orchestrator may ask for what it orchestrates, and is answered. */
export const orchestrationWiring = rule({
  code: 'PLY305',
  title: 'An orchestrator may ask for what its steps name, and is answered',
  why: 'What is not declared is refused: a step, or worse its compensation, that the orchestrator may not ask for fails at the first order; one whose reply has no way back is asked for until the saga’s time is up.',
  reference: 'Chris Richardson, Microservices Patterns, chapter 4, "Orchestration-based Sagas"',
  check: (system) =>
    byName(system.sagas).flatMap((saga) =>
      saga.style === 'orchestration'
        ? saga.steps.flatMap((step, index) =>
            step.kind === 'call' ? stepBreaches(system, saga, step) : commandBreaches(system, saga, step, index),
          )
        : [],
    ),
})

function stepBreaches(system: SystemNode, saga: Orchestration, step: CallStep): Breach[] {
  const methods = step.compensation === null ? [step.action] : [step.action, step.compensation]
  return methods.flatMap((method) => {
    const said = wrong(system, saga, step, method)
    if (!said) return []
    return [
      {
        path: [`saga ${saga.name}`, saga.by.name, `→ ${step.service.name} (${step.name})`],
        cost: null,
        owners: [serviceOwner(saga.by), serviceOwner(step.service)],
        ...said,
      },
    ]
  })
}

function wrong(system: SystemNode, saga: Orchestration, step: CallStep, method: string) {
  const [caller, service] = [inSystem(system, saga.by), inSystem(system, step.service)]
  const absent = caller ? (service ? null : step.service.name) : saga.by.name
  if (!caller || !service) {
    return {
      message: `${absent} takes part in ${saga.name} and is no service of ${system.name}.`,
      mend: `Add ${absent} to \`services\`.`,
    }
  }
  const found = find(service, method)
  if (!found) {
    const known = (service.spec.exposes ?? []).flatMap((api) => methodsOf(api).map((name) => `${apiName(api)}/${name}`))
    return {
      message: `The step ${step.name} of ${saga.name} names ${method}, which ${service.name} does not expose.`,
      mend: `Name a method of ${service.name}: ${list(known)}.`,
    }
  }
  const called = edgesOf(caller, 'calls').some(
    (edge) => apiName(edge.api) === apiName(found.api) && edge.methods.includes(found.method),
  )
  if (called || caller.name === service.name) return null
  return {
    message: `${caller.name} orchestrates ${saga.name} and has no edge to ${service.name}.${found.method}.`,
    mend: `Add \`calls(${found.api.name}, ['${found.method}'])\` to the edges of ${caller.name}.`,
  }
}

/** The method by any way of writing it in full: its path, `Interface/Method`, `Interface.method`, or its name alone. */
function find(service: ServiceNode, written: string): { api: Api; method: string } | null {
  for (const api of service.spec.exposes ?? []) {
    for (const method of methodsOf(api)) {
      const names = api.kind === 'service' ? [method, api.method[method]?.name ?? method] : [method]
      const full = names.flatMap((name) => [
        name,
        `${apiName(api)}/${name}`,
        `/${apiName(api)}/${name}`,
        `${apiName(api)}.${name}`,
      ])
      if (full.includes(written)) return { api, method }
    }
  }
  return null
}
