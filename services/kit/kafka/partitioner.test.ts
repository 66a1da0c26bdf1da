import { expect, it } from '@jest/globals'
import { murmur2, partitionOf } from './partitioner.ts'

/** From `Utils.murmur2` and `Utils.toPositive(…) % 5` of kafka-clients 4.3.1. */
const java: [key: string, hash: number, partitionOfFive: number][] = [
  ['', 275646681, 1],
  ['a', -1563381124, 4],
  ['ab', 316155434, 4],
  ['abc', 479470107, 2],
  ['order-1', 1221710326, 1],
  ['c-1', 460065359, 4],
  ['Zürich', -1551140815, 3],
  ['0f8fad5b-d9cb-469f-a165-70867728950e', -1084131179, 4],
  ['日本語', 1431860170, 0],
]

it.each(java)('gives %j the hash and the partition of the Java client', (key, hash, partition) => {
  expect(murmur2(Buffer.from(key))).toBe(hash)
  expect(partitionOf(key, 5)).toBe(partition)
})
