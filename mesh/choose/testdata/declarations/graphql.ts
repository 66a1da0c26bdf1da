import { graphql, rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { exposure } from '#graph/exposure.ts'
import { service } from '#graph/service.ts'
import { system } from '#graph/system.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'

const front = graphql('storefront')
const catalogApi = rest('catalog-api', { getProducts: 'GET /products' })

const orders = service('orders', { exposes: [OrderService] })
const catalog = service('catalog', { exposes: [catalogApi] })

// One query, two services. A part that cannot be had is left out of the answer.
const storefront = service('storefront', {
  exposes: [front],
  edges: [
    calls(OrderService, ['getOrder'], { deadlineMs: 500, fallback: true }),
    calls(catalogApi, ['getProducts'], { deadlineMs: 500, fallback: true }),
  ],
})

export const example = system('example', {
  services: [storefront, orders, catalog],
  exposures: [exposure('storefront', storefront, front, { client: 'browser' })],
})
