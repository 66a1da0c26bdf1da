/**
 * The partition that the Java client's default partitioner gives to a key. Both adapters use this one, because the
 * clients' own differ: that of @platformatic/kafka keeps the hash's sign bit, so that with a partition count that is
 * no power of two it disagrees with everyone else.
 */
export function partitionOf(key: string, partitionCount: number): number {
  return (murmur2(Buffer.from(key)) & 0x7fffffff) % partitionCount
}

const [seed, m, r] = [0x9747b28c, 0x5bd1e995, 24]

/** Kafka's variant of MurmurHash2, as a signed 32-bit number. */
export function murmur2(data: Buffer): number {
  const length = data.length
  const tail = length & ~3
  let h = seed ^ length
  for (let at = 0; at < tail; at += 4) {
    let k = Math.imul(data.readInt32LE(at), m)
    k = Math.imul(k ^ (k >>> r), m)
    h = Math.imul(h, m) ^ k
  }
  for (let at = length - 1; at >= tail; at -= 1) h ^= data.readUInt8(at) << (8 * (at - tail))
  if (length !== tail) h = Math.imul(h, m)
  h = Math.imul(h ^ (h >>> 13), m)
  return (h ^ (h >>> 15)) | 0
}
