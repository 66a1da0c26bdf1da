import type { DescMessage } from '@bufbuild/protobuf'
import type { CommandStep } from '#graph/saga.ts'
import type { ServiceNode } from '#graph/service.ts'
import type { SystemNode } from '#graph/system.ts'
import { edgesOf } from './edges.ts'
import { type Breach, serviceOwner } from './rule.ts'
import { inSystem, type Orchestration, publishes, takes } from './saga-facts.ts'

type Said = Pick<Breach, 'message' | 'mend'>

const reference = 'parley.saga.v1.StepRef'
const reply = 'parley.saga.v1.StepReply'

/** What keeps a step by commands from being asked for, done, or answered. */
export function commandBreaches(system: SystemNode, saga: Orchestration, step: CommandStep, index: number): Breach[] {
  const [by, service] = [inSystem(system, saga.by), inSystem(system, step.service)]
  const said: Said[] =
    by && service
      ? [
          ...begun(saga, step, index, by, service),
          ...asked(saga, step, by, service),
          ...answered(saga, step, by, service),
        ]
      : absent(system, saga, by ? step.service.name : saga.by.name)
  return said.map((each) => ({
    path: [`saga ${saga.name}`, saga.by.name, `→ ${step.service.name} (${step.name})`],
    cost: null,
    owners: [serviceOwner(saga.by), serviceOwner(step.service)],
    ...each,
  }))
}

function absent(system: SystemNode, saga: Orchestration, name: string): Said[] {
  return [
    {
      message: `${name} takes part in ${saga.name} and is no service of ${system.name}.`,
      mend: `Add ${name} to \`services\`.`,
    },
  ]
}

/** What starts the saga: an event of the first step's service that the orchestrator consumes. */
function begun(saga: Orchestration, step: CommandStep, index: number, by: ServiceNode, service: ServiceNode): Said[] {
  const { on, sends, name } = step
  if ((on === null) === (sends === null)) {
    const message = `The step ${name} of ${saga.name} has ${on ? 'both' : 'neither'} a command that asks for it ${on ? 'and' : 'nor'} an event that says it is done.`
    return [{ message, mend: `Declare either \`sends\` or, for the first step, \`on\` of \`command('${name}', …)\`.` }]
  }
  if (!on) return []
  return [
    ...(index > 0
      ? [
          {
            message: `The step ${name} of ${saga.name} is done by ${on.name}, and is not the first.`,
            mend: `Declare \`sends\` of \`command('${name}', …)\`.`,
          },
        ]
      : []),
    ...(publishes(service, on)
      ? []
      : [
          {
            message: `${saga.name} starts at ${on.name}, which no topic of ${service.name} carries.`,
            mend: `Add ${on.name} to \`carries\` of a topic in \`publishes\` of ${service.name}.`,
          },
        ]),
    ...(takes(by, on)
      ? []
      : [
          {
            message: `${saga.name} starts at ${on.name}, which ${by.name} does not consume.`,
            mend: `Add ${on.name} to a \`consumes(…)\` edge of ${by.name}.`,
          },
        ]),
  ]
}

/** Its commands get to the service. */
function asked(saga: Orchestration, step: CommandStep, by: ServiceNode, service: ServiceNode): Said[] {
  const { via, sends, compensation, name } = step
  const commands = [sends, compensation].filter((each) => each !== null)
  if (commands.length === 0) return []
  return [
    ...(has(by, 'sends', via.name)
      ? []
      : [
          {
            message: `${by.name} orchestrates ${saga.name} and may not send to ${via.name}.`,
            mend: `Add \`sends(${via.name})\` to the edges of ${by.name}.`,
          },
        ]),
    ...(has(service, 'works', via.name)
      ? []
      : [
          {
            message: `The step ${name} of ${saga.name} is asked for on ${via.name}, which ${service.name} does not work.`,
            mend: `Add \`works(${via.name})\` to the edges of ${service.name}.`,
          },
        ]),
    ...commands.flatMap((command) => worded(saga, step, command)),
  ]
}

function worded(saga: Orchestration, { via, name }: CommandStep, command: DescMessage): Said[] {
  const carried = via.carries.some(({ typeName }) => typeName === command.typeName)
  const named = command.field.step?.message?.typeName === reference
  return [
    ...(carried
      ? []
      : [
          {
            message: `The step ${name} of ${saga.name} sends ${command.name}, which ${via.name} does not carry.`,
            mend: `Add ${command.name} to \`carries\` of ${via.name}.`,
          },
        ]),
    ...(named
      ? []
      : [
          {
            message: `${command.name} has no field \`step\` that says which step of which saga it is about.`,
            mend: `Add \`${reference} step = 1;\` to ${command.typeName}.`,
          },
        ]),
  ]
}

/** Its reply gets back. */
function answered(saga: Orchestration, step: CommandStep, by: ServiceNode, service: ServiceNode): Said[] {
  const { replies } = saga
  if (!replies) {
    const message = `The step ${step.name} of ${saga.name} is a command, and nobody can reply to it.`
    return [{ message, mend: `Declare \`replies\` of ${saga.name}: a queue that carries ${reply}.` }]
  }
  return [
    ...(replies.carries.some(({ typeName }) => typeName === reply)
      ? []
      : [
          {
            message: `The queue of replies of ${saga.name}, ${replies.name}, does not carry ${reply}.`,
            mend: `Add ${reply} to \`carries\` of ${replies.name}.`,
          },
        ]),
    ...(has(by, 'works', replies.name)
      ? []
      : [
          {
            message: `${by.name} orchestrates ${saga.name} and does not work its queue of replies, ${replies.name}.`,
            mend: `Add \`works(${replies.name})\` to the edges of ${by.name}.`,
          },
        ]),
    ...(has(service, 'sends', replies.name)
      ? []
      : [
          {
            message: `${service.name} takes part in ${saga.name} and may not send to its queue of replies, ${replies.name}.`,
            mend: `Add \`sends(${replies.name})\` to the edges of ${service.name}.`,
          },
        ]),
  ]
}

function has(service: ServiceNode, kind: 'sends' | 'works', queue: string): boolean {
  return edgesOf(service, kind).some((edge) => edge.queue.name === queue)
}
