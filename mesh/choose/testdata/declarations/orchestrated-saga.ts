import { accept } from '#graph/acceptance.ts'
import { rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { action, orchestration } from '#graph/saga.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'

const stockApi = rest('stock-api', { reserve: 'PUT /reservations/{id}', release: 'DELETE /reservations/{id}' })
const paymentsApi = rest('payments-api', { charge: 'PUT /charges/{id}', refund: 'DELETE /charges/{id}' })
const parcelsApi = rest('parcels-api', {
  book: 'PUT /parcels/{id}',
  cancel: 'DELETE /parcels/{id}',
  send: 'PUT /sent/{id}',
})
const pointsApi = rest('points-api', { grant: 'PUT /points/{id}' })

const stock = service('stock', { exposes: [stockApi], owns: [postgres()] })
const payments = service('payments', { exposes: [paymentsApi], owns: [postgres()] })
const parcels = service('parcels', { exposes: [parcelsApi], owns: [postgres()] })
const points = service('points', { exposes: [pointsApi], owns: [postgres()] })

const fulfilment = service('fulfilment', {
  owns: [postgres()],
  edges: [
    calls(stockApi, ['reserve', 'release']),
    calls(paymentsApi, ['charge', 'refund']),
    calls(parcelsApi, ['book', 'cancel', 'send']),
    calls(pointsApi, ['grant']),
  ],
  accepts: [accept('PLY102', 'an orchestrator calls one step after another from its store; no caller waits for them')],
})

const fulfil = orchestration('fulfil', {
  by: fulfilment,
  steps: [
    action('reserve', stock, { action: 'reserve', compensation: 'release' }),
    action('charge', payments, { action: 'charge', compensation: 'refund' }),
    action('book', parcels, { action: 'book', compensation: 'cancel' }),
    action('send', parcels, { action: 'send' }),
    action('grant', points, { action: 'grant' }),
  ],
  pointOfNoReturn: 'send',
})

export const example = system('example', {
  services: [fulfilment, stock, payments, parcels, points],
  sagas: [fulfil],
})
