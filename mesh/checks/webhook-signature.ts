import { allEdges } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'

/** A subscriber can tell that a webhook is ours. */
export const webhookSignature = rule({
  code: 'PLY403',
  title: 'Webhooks are signed',
  why: 'A subscriber’s address is no secret. Without a signature anybody can tell it that an order was paid.',
  reference: 'Standard Webhooks, "Signature scheme"',
  check: (system) =>
    allEdges(system, 'delivers')
      .filter(({ edge }) => !edge.webhook.signed)
      .map(({ service, edge: { webhook } }) => ({
        path: [service.name, `→ webhook ${webhook.name}`],
        message: `${service.name} delivers the webhook ${webhook.name} without a signature.`,
        cost: null,
        mend: `Take \`signed: false\` off \`webhook('${webhook.name}', …)\`.`,
        owners: [serviceOwner(service)],
      })),
})
