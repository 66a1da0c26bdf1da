import { queueUsers } from './queue-worker.ts'
import { rule, serviceOwner } from './rule.ts'
import { list } from './text.ts'

/** A queue that is worked gets tasks. */
export const queueSender = rule({
  code: 'PLY208',
  title: 'Somebody puts tasks into a queue',
  why: 'Who may put tasks into a queue follows from `sends` and `asks`. Without either the server refuses every sender.',
  reference: 'Declared = allowed: the queue server grants what the edges say',
  check: (system) =>
    queueUsers(system)
      .filter(({ senders, askers }) => senders.length + askers.length === 0)
      .map(({ name, workers }) => ({
        path: [`queue ${name}`, ...workers.map((worker) => `→ ${worker}`)],
        message: `${list(workers)} works the queue ${name}, into which nobody may put a task.`,
        cost: 'No task ever arrives.',
        mend: `Add \`sends(${name})\` to the edges of the service that has the tasks, or take \`works(${name})\` away.`,
        owners: workers.map((worker) => serviceOwner({ name: worker })),
      })),
})
