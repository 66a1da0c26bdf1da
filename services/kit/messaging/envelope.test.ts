import { describe, expect, test } from '@jest/globals'
import { Kafka } from 'cloudevents'
import fc from 'fast-check'
import { OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { type Binding, dataVersion, decodeEnvelope, type Envelope, encodeEnvelope, newId } from './envelope.ts'

const envelope: Envelope = {
  id: 'e-1',
  type: 'parley.orders.v1.OrderPlaced',
  source: '/services/orders',
  time: new Date('2026-01-02T03:04:05.678Z'),
  subject: 'o-1',
  correlationId: 'c-1',
  dataVersion: '1',
}
const bindings: readonly Binding[] = ['kafka', 'amqp']

describe('an envelope', () => {
  test.each(bindings)('comes back from %s as it was', (binding) => {
    expect(decodeEnvelope(encodeEnvelope(envelope, binding), binding)).toEqual({ ok: true, value: envelope })
  })

  test('is a CloudEvent for the reference library', () => {
    const message = { headers: encodeEnvelope(envelope, 'kafka'), body: Buffer.of(1), key: 'o-1', value: Buffer.of(1) }
    const event = Kafka.toEvent(message)
    if (Array.isArray(event)) throw new Error('one event was sent')
    const { id, type, source, subject, specversion, correlationid, dataversion, time } = event
    expect({ id, type, source, subject, specversion, correlationid, dataversion }).toEqual({
      id: 'e-1',
      type: envelope.type,
      source: envelope.source,
      subject: 'o-1',
      specversion: '1.0',
      correlationid: 'c-1',
      dataversion: '1',
    })
    expect(new Date(time ?? '')).toEqual(envelope.time)
  })

  test('names its attributes as the bindings say', () => {
    expect(Object.keys(encodeEnvelope(envelope, 'kafka'))).toContain('ce_correlationid')
    expect(Object.keys(encodeEnvelope(envelope, 'amqp'))).toContain('cloudEvents:correlationid')
  })
})

describe('a malformed envelope', () => {
  const good = encodeEnvelope(envelope, 'kafka')
  test.each([
    [{ ce_specversion: undefined }, 'ENVELOPE_ATTRIBUTE_MISSING'],
    [{ ce_specversion: '0.3' }, 'ENVELOPE_VERSION_UNKNOWN'],
    [{ 'content-type': 'application/json' }, 'ENVELOPE_CONTENT_TYPE_UNKNOWN'],
    [{ 'content-type': undefined }, 'ENVELOPE_CONTENT_TYPE_UNKNOWN'],
    [{ ce_id: undefined }, 'ENVELOPE_ATTRIBUTE_MISSING'],
    [{ ce_id: '' }, 'ENVELOPE_ATTRIBUTE_MALFORMED'],
    [{ ce_id: 'a\u0000b' }, 'ENVELOPE_ATTRIBUTE_MALFORMED'],
    [{ ce_id: 'x'.repeat(513) }, 'ENVELOPE_ATTRIBUTE_MALFORMED'],
    [{ ce_time: 'yesterday' }, 'ENVELOPE_ATTRIBUTE_MALFORMED'],
    [{ ce_time: '2026-13-41T99:00:00Z' }, 'ENVELOPE_ATTRIBUTE_MALFORMED'],
    [{ ce_source: 7 }, 'ENVELOPE_ATTRIBUTE_MALFORMED'],
    [{ ce_subject: 'line\nbreak' }, 'ENVELOPE_ATTRIBUTE_MALFORMED'],
  ])('%j is %s', (change, code) => {
    const headers = Object.fromEntries(
      Object.entries({ ...good, ...change }).filter(([, value]) => value !== undefined),
    )
    expect(decodeEnvelope(headers, 'kafka')).toMatchObject({ ok: false, code })
  })

  test('is one whose id AMQP would cut off: its properties end at 255 bytes, and an answer’s id is longer than its question’s', () => {
    const sent = (id: string) => decodeEnvelope(encodeEnvelope({ ...envelope, id }, 'amqp'), 'amqp')
    expect(sent('ü'.repeat(120))).toMatchObject({ ok: true })
    expect(sent('ü'.repeat(121))).toMatchObject({ ok: false, code: 'ENVELOPE_ATTRIBUTE_MALFORMED' })
  })

  test('never throws, whatever the headers hold', () => {
    const value = fc.oneof(fc.string({ unit: 'binary' }), fc.constant(undefined), fc.integer(), fc.object())
    const name = fc.oneof(fc.constantFrom(...Object.keys(good)), fc.string())
    fc.assert(
      fc.property(fc.dictionary(name, value), (changes) => {
        const decoded = decodeEnvelope({ ...good, ...changes }, 'kafka')
        if (decoded.ok) expect(decoded.value.id).not.toBe('')
        else expect(decoded.code).toMatch(/^ENVELOPE_/)
      }),
    )
  })
})

test('an id sorts by time', () => {
  const [earlier, later] = [newId(new Date(1_000)), newId(new Date(2_000))]
  expect(earlier < later).toBe(true)
  expect(earlier).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})

test('the data version is that of the package', () => {
  expect(dataVersion(OrderPlacedSchema)).toBe('1')
  expect(dataVersion({ ...OrderPlacedSchema, typeName: 'shop.orders.v12.OrderPlaced' })).toBe('12')
  expect(dataVersion({ ...OrderPlacedSchema, typeName: 'OrderPlaced' })).toBe('1')
})
