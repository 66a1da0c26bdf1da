import { allEdges } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'
import { ms } from './text.ts'

/** Who asks is answered. */
export const askReply = rule({
  code: 'PLY209',
  title: 'A queue that is asked has replies',
  why: 'Request–reply needs an answer with a type. Without one every question waits for its deadline.',
  reference: 'Hohpe and Woolf, Enterprise Integration Patterns, "Request-Reply"',
  check: (system) =>
    allEdges(system, 'asks')
      .filter(({ edge }) => edge.queue.replies === null)
      .map(({ service, edge }) => ({
        path: [service.name, `→ queue ${edge.queue.name}`],
        message: `${service.name} asks through ${edge.queue.name}, which declares no replies.`,
        cost: `Every question waits its whole deadline, ${ms(edge.policy.deadlineMs)}, and fails.`,
        mend: `Declare \`replies\` on \`queue('${edge.queue.name}', …)\`, or use \`sends\` where no answer is needed.`,
        owners: [serviceOwner(service)],
      })),
})
