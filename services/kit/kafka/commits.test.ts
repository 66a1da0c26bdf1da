import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from '@jest/globals'
import { Commits } from './commits.ts'

const at = (partition: number, offset: bigint) => ({ topic: 't', partition, offset })

it('gathers what is handled while a commit is on its way, and sends the newest only', async () => {
  const sent: string[] = []
  const commits = new Commits(
    async (offsets) => {
      sent.push(offsets.map(({ partition, offset }) => `${partition}:${offset}`).join(' '))
      await sleep(5)
    },
    () => undefined,
  )
  commits.own([at(0, 0n), at(1, 0n)])
  for (const offset of [1n, 2n, 3n]) commits.mark(at(0, offset))
  commits.mark(at(1, 7n))
  await commits.flush(1_000)
  expect(sent).toEqual(['0:1', '0:3 1:7'])
})

it('sends no more often than a moment apart, but does not keep a flush waiting', async () => {
  const sent: bigint[] = []
  const commits = new Commits(
    async ([position]) => void sent.push(position?.offset ?? 0n),
    () => undefined,
    60_000,
  )
  commits.own([at(0, 0n)])
  for (const offset of [1n, 2n, 3n]) {
    commits.mark(at(0, offset))
    await sleep(1)
  }
  expect(sent).toEqual([1n])
  await commits.flush(1_000)
  expect(sent).toEqual([1n, 3n])
})

it('repeats a refused commit, but not for a partition that is another member’s by then', async () => {
  const sent: string[] = []
  const refused: unknown[] = []
  const commits = new Commits(
    async (offsets) => {
      sent.push(offsets.map(({ partition, offset }) => `${partition}:${offset}`).join(' '))
      if (refused.length > 0) return
      commits.own([at(1, 0n)])
      throw new Error('rebalance')
    },
    (error) => refused.push(error),
  )
  commits.own([at(0, 0n), at(1, 0n)])
  commits.mark(at(0, 4n))
  await commits.flush(1_000)
  expect(sent).toEqual(['0:4'])
  expect(refused).toHaveLength(1)

  sent.length = 0
  commits.mark(at(1, 5n))
  await commits.flush(1_000)
  expect(sent).toEqual(['1:5'])
})

it('lets go of a commit that is refused after the last flush has given up', async () => {
  let sends = 0
  const commits = new Commits(
    async () => {
      sends += 1
      await sleep(40)
      throw new Error('the broker is away')
    },
    () => undefined,
  )
  commits.own([at(0, 0n)])
  commits.mark(at(0, 1n))
  await commits.flush(10)
  await sleep(200)
  expect(sends).toBe(1)
})
