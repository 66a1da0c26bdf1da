import { apiOwner } from './api-owner.ts'
import { askReply } from './ask-reply.ts'
import { availability } from './availability.ts'
import { browserGrpc } from './browser-grpc.ts'
import { browserStream } from './browser-stream.ts'
import { callBounds } from './call-bounds.ts'
import { callee } from './callee.ts'
import { carriedMessages } from './carried-messages.ts'
import { choreographyLength } from './choreography-length.ts'
import { choreographyWiring } from './choreography-wiring.ts'
import { compensation } from './compensation.ts'
import { consumerGroup } from './consumer-group.ts'
import { consumerIdempotence } from './consumer-idempotence.ts'
import { crossOrigin } from './cross-origin.ts'
import { deadLetter } from './dead-letter.ts'
import { deadlineInversion } from './deadline-inversion.ts'
import { duplicateNames } from './duplicate-names.ts'
import { edgeAgreement } from './edge-agreement.ts'
import { edgeOverlap } from './edge-overlap.ts'
import { egressAddress } from './egress-address.ts'
import { environmentFigures } from './environment-figures.ts'
import { eventCycle } from './event-cycle.ts'
import { figureRange } from './figure-range.ts'
import { knownWords } from './known-words.ts'
import { names } from './names.ts'
import { orchestrationWiring } from './orchestration-wiring.ts'
import { outagePatience } from './outage-patience.ts'
import { pointOfNoReturn } from './point-of-no-return.ts'
import { queueSender } from './queue-sender.ts'
import { queueWorker } from './queue-worker.ts'
import { reservedNames } from './reserved-names.ts'
import { retryAmplification } from './retry-amplification.ts'
import { retrySafety } from './retry-safety.ts'
import { retryTime } from './retry-time.ts'
import { routeClash } from './route-clash.ts'
import { routes } from './routes.ts'
import type { Rule } from './rule.ts'
import { sagaShape } from './saga-shape.ts'
import { serviceProtocol } from './service-protocol.ts'
import { sharedStore } from './shared-store.ts'
import { slowExternal } from './slow-external.ts'
import { streamEdge } from './stream-edge.ts'
import { syncCycle } from './sync-cycle.ts'
import { syncDepth } from './sync-depth.ts'
import { syncFanOut } from './sync-fan-out.ts'
import { topicKey } from './topic-key.ts'
import { topicOwner } from './topic-owner.ts'
import { unbounded } from './unbounded.ts'
import { versions } from './versions.ts'
import { webhookSignature } from './webhook-signature.ts'
import { webhookSource } from './webhook-source.ts'

/** All rules by area; within an area by code. A code is never given twice and never changes its meaning. */
export const areas: readonly { readonly title: string; readonly rules: readonly Rule[] }[] = [
  {
    title: 'Synchronous calls',
    rules: [
      syncCycle,
      syncFanOut,
      syncDepth,
      callBounds,
      deadlineInversion,
      retryTime,
      retrySafety,
      retryAmplification,
      callee,
      apiOwner,
      edgeAgreement,
      edgeOverlap,
      serviceProtocol,
      streamEdge,
    ],
  },
  {
    title: 'Events and tasks',
    rules: [
      consumerIdempotence,
      deadLetter,
      topicOwner,
      carriedMessages,
      topicKey,
      consumerGroup,
      queueWorker,
      queueSender,
      askReply,
      outagePatience,
    ],
  },
  {
    title: 'Transactions over services',
    rules: [
      choreographyLength,
      compensation,
      pointOfNoReturn,
      choreographyWiring,
      orchestrationWiring,
      sagaShape,
      eventCycle,
    ],
  },
  {
    title: 'The outside',
    rules: [
      browserGrpc,
      slowExternal,
      webhookSignature,
      webhookSource,
      egressAddress,
      crossOrigin,
      browserStream,
      versions,
      routeClash,
    ],
  },
  { title: 'Data and promises', rules: [sharedStore, availability] },
  {
    title: 'Bounds, figures and names',
    rules: [unbounded, figureRange, names, duplicateNames, environmentFigures, reservedNames, routes, knownWords],
  },
]

/** All rules, by code. */
export const rules: readonly Rule[] = areas.flatMap((area) => area.rules)
