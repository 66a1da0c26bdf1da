import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContext } from 'node:tls'
import { KafkaError, type KafkaOptions } from './port.ts'

/**
 * Reads the TLS files now, and again at each call of the answer, which therefore gives every new connection the
 * certificate of the moment. Files that cannot be read later on (half of a pair replaced) leave the last good ones in
 * use and are reported. Throws `BAD_OPTIONS` where even the first read fails.
 */
export function tlsSource(options: KafkaOptions): (() => SecureContext) | undefined {
  const files = options.tls
  if (files === undefined) return undefined
  const read = () => {
    try {
      return createSecureContext({
        ca: readFileSync(files.caFile),
        cert: readFileSync(files.certFile),
        key: readFileSync(files.keyFile),
        minVersion: 'TLSv1.2',
      })
    } catch (cause) {
      const names = `${files.caFile}, ${files.certFile}, ${files.keyFile}`
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new KafkaError('BAD_OPTIONS', `The TLS files for Kafka (${names}) cannot be used: ${reason}`, cause)
    }
  }
  let last = read()
  return () => {
    try {
      last = read()
    } catch (error) {
      if (error instanceof KafkaError) options.onError(error)
    }
    return last
  }
}
