// The parts of kafkajs 2.2.4 that `kafkajs-mends.ts` mends.

declare module 'kafkajs/src/network/requestQueue/index.js' {
  export default class RequestQueue {
    readonly pending: readonly unknown[]
    scheduleCheckPendingRequests(): void
  }
}

declare module 'kafkajs/src/cluster/brokerPool.js' {
  export default class BrokerPool {
    readonly brokers: Readonly<Record<string, unknown>>
    metadataExpireAt: number | null
    removeBroker(destination: { host: string; port: number }): void
  }
}
