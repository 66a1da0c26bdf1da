import { expect, it } from '@jest/globals'
import { createRefusal, kafkaError } from './failure.ts'

const wrap = (cause: object) => Object.assign(new Error('outer'), { cause: Object.assign(new Error('inner'), cause) })

it.each([
  [{ type: 'TOPIC_AUTHORIZATION_FAILED' }, 'NOT_AUTHORIZED', false],
  [{ apiId: 'GROUP_AUTHORIZATION_FAILED', code: 'PLT_KFK_PROTOCOL' }, 'NOT_AUTHORIZED', false],
  [
    { code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', name: 'KafkaJSConnectionError' },
    'AUTHENTICATION_FAILED',
    false,
  ],
  [{ code: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA' }, 'AUTHENTICATION_FAILED', false],
  [{ type: 'OUT_OF_ORDER_SEQUENCE_NUMBER' }, 'PRODUCER_STATE_LOST', true],
  [{ apiId: 'UNKNOWN_TOPIC_OR_PARTITION' }, 'UNKNOWN_TOPIC', true],
  [{ code: 'ECONNREFUSED' }, 'UNAVAILABLE', true],
  [{ code: 'ESOMETHING' }, 'OTHER', true],
])('tells %j from what wraps it', (cause, code, retriable) => {
  expect(kafkaError(wrap(cause), 'Sending')).toMatchObject({ code, retriable, cause: wrap(cause) })
  expect(kafkaError(new AggregateError([wrap(cause)], 'all'), 'Sending').code).toBe(code)
})

it('ends a retry as soon as a failure is seen that no retry mends', async () => {
  const refusal = createRefusal('Joining')
  const waiting = refusal.unless(new Promise(() => undefined))
  refusal.observe(wrap({ code: 'ECONNREFUSED' }))
  expect(refusal.last()).toContain('ECONNREFUSED')
  refusal.observe(wrap({ code: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA' }))
  await expect(waiting).rejects.toMatchObject({ code: 'AUTHENTICATION_FAILED' })
})
