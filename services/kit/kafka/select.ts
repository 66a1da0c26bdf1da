import type { Kafka, KafkaClient, KafkaOptions } from './port.ts'
import { KafkaError } from './port.ts'

/**
 * The way to Kafka by the client named. Default kafkajs. Only that client's code is loaded. Rejects with `BAD_OPTIONS`
 * where no broker is given or the TLS files cannot be read.
 */
export async function connect(options: KafkaOptions & { readonly adapter?: KafkaClient }): Promise<Kafka> {
  if (options.brokers.length === 0) throw new KafkaError('BAD_OPTIONS', 'No Kafka broker is given: set `brokers`.')
  switch (options.adapter ?? 'kafkajs') {
    case 'kafkajs':
      return (await import('./kafkajs.ts')).connectKafkajs(options)
    case 'platformatic':
      return (await import('./platformatic.ts')).connectPlatformatic(options)
  }
}
