import type { Operation, Way } from '../app/operations.ts'
import { notFound, ServiceError } from '../errors.ts'
import { type AnyDatabase, statement } from './database.ts'
import type { Projections } from './projection.ts'
import { projectionStates } from './projection-metrics.ts'

const parkedMax = 500

/** The ways to ask what an operator may do about read models. */
export const projectionWays: readonly Way[] = [
  { verb: 'GET', path: '', what: 'each read model: its generations, how far behind each is, and what is parked' },
  { verb: 'GET', path: 'NAME/parked', what: 'events that it could not apply, with the reason' },
  { verb: 'POST', path: 'NAME/retry', what: 'applies parked events again, once their cause is mended' },
  { verb: 'POST', path: 'NAME/rebuild', what: 'builds it anew from the first event, while the old one is read' },
]

/** What an operator may do about a service's read models, under `/projections` of its admin address. */
export function projectionOperation(
  database: AnyDatabase,
  names: readonly string[],
  projections: Pick<Projections, 'rebuild' | 'retryParked'>,
): Operation {
  return async ({ verb, path }) => {
    const [name, wish, ...rest] = path
    if (verb === 'GET' && name === undefined) return { projections: await states(database, names) }
    if (name === undefined || rest.length > 0 || !names.includes(name)) {
      throw notFound(`There is no read model ${path.join('/').slice(0, 64)}, only: ${names.join(', ')}.`)
    }
    switch (`${verb} ${wish}`) {
      case 'GET parked':
        return { parked: await database.query<object>(selectParked, [name]) }
      case 'POST retry':
        await projections.retryParked(name)
        return { projections: await states(database, [name]) }
      case 'POST rebuild':
        await projections.rebuild(name)
        return { projections: await states(database, [name]) }
      default:
        throw new ServiceError('unimplemented', `A read model knows no ${verb} ${wish ?? ''}.`)
    }
  }
}

async function states(database: AnyDatabase, names: readonly string[]): Promise<readonly object[]> {
  const rows = await projectionStates(database, names)
  return rows.map(({ lag, parked, ...rest }) => ({ ...rest, lagSeconds: lag ?? 0, parked: Number(parked) }))
}

const selectParked = statement(`
  select stream_id as "streamId", version, type, generation, reason, at from kit.parked_events
  where projection = $1 order by at, stream_id, version limit ${parkedMax}`)
