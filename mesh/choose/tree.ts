/** The patterns that a choice may end with. */
export type PatternId =
  | 'modular-monolith'
  | 'rest'
  | 'graphql'
  | 'grpc'
  | 'grpc-streaming'
  | 'internal-rest'
  | 'message-queue'
  | 'request-reply'
  | 'publish-subscribe'
  | 'event-streaming'
  | 'event-sourcing'
  | 'choreographed-saga'
  | 'orchestrated-saga'
  | 'webhooks'

/** Where an answer leads: to another question, or to the end. */
export type Next = { readonly question: QuestionId } | { readonly pattern: PatternId }

/** The questions by their keys, as in `--answer wait=yes`. */
export type QuestionId = 'split' | 'wait' | 'caller' | 'stream' | 'latency' | 'need' | 'replay' | 'steps'

/** A question with its answers. */
export type Question = {
  readonly id: QuestionId
  readonly asks: string
  readonly options: readonly Option[]
}

/** One answer: what is given on the command line, what it means, and where it leads. */
export type Option = { readonly value: string; readonly says: string; readonly next: Next }

/** The first question. */
export const root: QuestionId = 'split'

/** The decision trees, one question a node. Every path through them ends with a pattern. */
export const questions: Readonly<Record<QuestionId, Question>> = {
  split: {
    id: 'split',
    asks: 'Does one of these hold for what you are about to split?',
    options: [
      { value: 'no', says: 'none of them', next: { question: 'wait' } },
      { value: 'team', says: 'fewer than 5 engineers work on it', next: { pattern: 'modular-monolith' } },
      { value: 'domain', says: 'nobody knows the domain well yet', next: { pattern: 'modular-monolith' } },
      { value: 'budget', says: 'the whole path has less than 5 ms', next: { pattern: 'modular-monolith' } },
      {
        value: 'acid',
        says: 'the parts have to change in one strict transaction',
        next: { pattern: 'modular-monolith' },
      },
      { value: 'crud', says: 'it is simple CRUD for fewer than 1,000 users', next: { pattern: 'modular-monolith' } },
    ],
  },
  wait: {
    id: 'wait',
    asks: 'Does the caller need the answer before it can go on?',
    options: [
      { value: 'yes', says: 'it waits', next: { question: 'caller' } },
      { value: 'no', says: 'it goes on; the work is done later', next: { question: 'need' } },
    ],
  },
  caller: {
    id: 'caller',
    asks: 'Who asks?',
    options: [
      { value: 'outside', says: 'the public, partners, browsers', next: { pattern: 'rest' } },
      { value: 'composer', says: 'a client that composes data of many services', next: { pattern: 'graphql' } },
      { value: 'inside', says: 'another service of ours', next: { question: 'stream' } },
    ],
  },
  stream: {
    id: 'stream',
    asks: 'Is there more than one message in a request or an answer?',
    options: [
      { value: 'yes', says: 'a stream of them, in one direction or both', next: { pattern: 'grpc-streaming' } },
      { value: 'no', says: 'one question, one answer', next: { question: 'latency' } },
    ],
  },
  latency: {
    id: 'latency',
    asks: 'Do latency or throughput matter on this call?',
    options: [
      { value: 'yes', says: 'yes, or nobody knows', next: { pattern: 'grpc' } },
      { value: 'no', says: 'no, and both sides would rather speak HTTP', next: { pattern: 'internal-rest' } },
    ],
  },
  need: {
    id: 'need',
    asks: 'What is it for?',
    options: [
      { value: 'one', says: 'a task that one service does', next: { pattern: 'message-queue' } },
      { value: 'answer', says: 'a question whose answer may come later', next: { pattern: 'request-reply' } },
      { value: 'many', says: 'a fact that several services react to, each for itself', next: { question: 'replay' } },
      {
        value: 'audit',
        says: 'a record from which the state can be rebuilt and audited',
        next: { pattern: 'event-sourcing' },
      },
      { value: 'agree', says: 'a transaction on which several services have to agree', next: { question: 'steps' } },
      { value: 'outside', says: 'a notice to systems outside', next: { pattern: 'webhooks' } },
    ],
  },
  replay: {
    id: 'replay',
    asks: 'Will events be read again from the start, or come in high volume?',
    options: [
      { value: 'no', says: 'no', next: { pattern: 'publish-subscribe' } },
      { value: 'yes', says: 'yes, one of the two', next: { pattern: 'event-streaming' } },
    ],
  },
  steps: {
    id: 'steps',
    asks: 'How many steps does the transaction have?',
    options: [
      { value: '2-4', says: 'two to four', next: { pattern: 'choreographed-saga' } },
      { value: '5+', says: 'five or more', next: { pattern: 'orchestrated-saga' } },
    ],
  },
}
