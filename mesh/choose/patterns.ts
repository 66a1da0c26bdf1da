import type { PatternId } from './tree.ts'

/** A pattern, in words. */
export type Pattern = { readonly title: string; readonly reason: string; readonly notShould: string }

/** Every pattern with why it fits, and when it does not. */
export const patterns: Readonly<Record<PatternId, Pattern>> = {
  'modular-monolith': {
    title: 'Do not split: a modular monolith',
    reason:
      'A network between the parts costs more here than it gives: one service, one database, one transaction, modules inside. It can be split along its modules once they have proved themselves.',
    notShould: 'Split when parts have to be deployed or scaled by different teams at different times.',
  },
  rest: {
    title: 'REST at the gateway',
    reason: 'Every client outside speaks it, caches understand it, and its versions can live side by side.',
    notShould: 'Inside, where gRPC is faster and typed; and never wait there for what takes longer than a second.',
  },
  graphql: {
    title: 'GraphQL in front of the services',
    reason: 'The client says in one query what it needs of many services, and gets no more and no less.',
    notShould: 'For services that call each other, for writes that need a retry, or for one service alone.',
  },
  grpc: {
    title: 'gRPC, one call',
    reason:
      'Typed from the proto on both sides, small on the wire, many calls on one connection; its contract says what may be retried.',
    notShould: 'Towards browsers, or three hops deep: what the caller does not need now is an event.',
  },
  'grpc-streaming': {
    title: 'gRPC streaming',
    reason: 'Messages flow over one call with back-pressure, each without the price of a request.',
    notShould:
      'Where a message must survive the connection: then it is an event or a task. A stream cannot be retried.',
  },
  'internal-rest': {
    title: 'REST between services',
    reason: 'Any language and any tool speaks it, and on this call nobody would notice the difference.',
    notShould: 'On a path that a customer waits for, or with many calls a second: use gRPC.',
  },
  'message-queue': {
    title: 'A message queue',
    reason:
      'One worker does each task, at its own pace; what fails is tried again, and kept as a dead letter in the end.',
    notShould: 'When a second service has to see the same message: that is an event on a topic.',
  },
  'request-reply': {
    title: 'Request–reply over a queue',
    reason: 'The question waits safely until the other side is there, and the answer finds back by its correlation id.',
    notShould: 'When the caller waits anyway: a direct call is simpler and fails sooner.',
  },
  'publish-subscribe': {
    title: 'Publish and subscribe',
    reason:
      'The publisher states a fact and knows no subscriber; each of them gets its own copy, and new ones come without a change.',
    notShould: 'For a command that one service must carry out: that is a task on a queue.',
  },
  'event-streaming': {
    title: 'Event streaming',
    reason:
      'Partitions keep the order by key and share out the load; a consumer can begin again from the start and build its state anew.',
    notShould: 'For a few tasks a minute without replay: a queue is less to run.',
  },
  'event-sourcing': {
    title: 'Event sourcing, with read models apart',
    reason: 'The events are the truth: every state can be explained, audited and built again.',
    notShould: 'Where only the present state matters: a table is simpler. Events are for ever, so is their schema.',
  },
  'choreographed-saga': {
    title: 'A saga by choreography',
    reason:
      'With up to four steps each service can react to the one before it, and undo what it did when a later one refuses.',
    notShould: 'Beyond four steps, or when somebody must be able to say where a transaction stands.',
  },
  'orchestrated-saga': {
    title: 'A saga by orchestration',
    reason:
      'One service holds the course of the transaction, asks for each step by a command, and for the compensations in reverse when one refuses.',
    notShould: 'For two or three steps, where the orchestrator would be one service more to run.',
  },
  webhooks: {
    title: 'Webhooks',
    reason:
      'Systems outside are told when something happens, signed and retried for hours, without asking all the time.',
    notShould: 'Between services of ours: they consume the event itself.',
  },
}
