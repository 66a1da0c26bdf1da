import { beforeAll, expect, it, jest } from '@jest/globals'
import {
  type BrokerPoolInside,
  brokerPool,
  mendKafkajs,
  type RequestQueueInside,
  requestQueue,
} from './kafkajs-mends.ts'

beforeAll(mendKafkajs)

it('schedules no check while no request waits', () => {
  const timer = jest.spyOn(globalThis, 'setTimeout')
  const queue: RequestQueueInside = Object.assign(Object.create(requestQueue), { pending: [], throttledUntil: -1 })
  queue.scheduleCheckPendingRequests()
  expect(timer).not.toHaveBeenCalled()

  Object.assign(queue, { pending: ['request'] })
  timer.mockReturnValueOnce({} as NodeJS.Timeout)
  queue.scheduleCheckPendingRequests()
  expect(timer).toHaveBeenCalledWith(expect.any(Function), 10)
})

it('keeps the only broker, and forgets one of several', () => {
  const at = (host: string, nodeId: string) => ({ nodeId, connectionPool: { host, port: 9092 } })
  const several: BrokerPoolInside = Object.assign(Object.create(brokerPool), {
    brokers: { 1: at('a', '1'), 2: at('b', '2') },
    seedBroker: at('a', '1'),
    metadataExpireAt: 1,
  })
  several.removeBroker({ host: 'b', port: 9092 })
  expect(Object.keys(several.brokers)).toEqual(['1'])
  several.metadataExpireAt = 1
  several.removeBroker({ host: 'a', port: 9092 })
  expect(Object.keys(several.brokers)).toEqual(['1'])
  expect(several.metadataExpireAt).toBeNull()
})
