/** The gateway: the shop's REST interface to the outside, in front of orders, the catalogue and shipping's quotes. */

import { run } from '#kit/app/lifecycle.ts'
import { client } from '#kit/grpc/client.ts'
import { cachingClient } from '#kit/http/caching-client.ts'
import { problemSchema } from '#kit/http/problem-schema.ts'
import { restServer } from '#kit/http/server.ts'
import { openAsker } from '#kit/messaging/asker.ts'
import { catalogApi, ordersApi } from '#mesh/shop/interfaces.ts'
import { quotes } from '#mesh/shop/messages.ts'
import { gateway, shopExposure } from '#mesh/shop.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { createOrder, getOrder, listOrders, orderUpdates } from './handlers.ts'
import { orderPage, orderPageSchema } from './page.ts'
import { getProduct, listProducts, productsQuery } from './products.ts'
import { quoteQuery, quoteSchema, quoteShipping } from './quotes.ts'
import {
  listQuery,
  newOrderHeaders,
  newOrderSchema,
  orderListSchema,
  orderSchema,
  productSchema,
  productsSchema,
  updatesHeaders,
} from './schemas.ts'
import { v1 } from './v1.ts'

await run(gateway, async (app) => {
  const orders = client(app, OrderService)
  const catalog = cachingClient(app, catalogApi)
  const shipping = await app.add('quotes', openAsker(app, quotes))
  const rest = restServer(
    app,
    ordersApi,
    {
      createOrder: {
        summary: 'Places an order. It is confirmed, paid and shipped by events afterwards.',
        headers: newOrderHeaders,
        body: newOrderSchema,
        responses: { 201: orderSchema, 400: problemSchema, 409: problemSchema, 422: problemSchema, 503: problemSchema },
        versions: { v1: v1.createOrder },
        handler: (request) => createOrder(request, orders),
      },
      listOrders: {
        summary: "Lists a customer's orders, the newest first.",
        query: listQuery,
        responses: { 200: orderListSchema, 400: problemSchema, 503: problemSchema },
        handler: ({ query }) => listOrders(query, orders),
      },
      getOrder: {
        summary: 'Shows how far an order is.',
        responses: { 200: orderSchema, 404: problemSchema, 503: problemSchema },
        versions: { v1: v1.getOrder },
        handler: ({ params }) => getOrder(params.id, orders),
      },
      orderPage: {
        summary: 'An order with its history and its products on one page; what cannot be had is named in `missing`.',
        responses: { 200: orderPageSchema, 404: problemSchema, 503: problemSchema },
        handler: ({ params }) => orderPage(params.id, { orders, catalog, log: app.log }),
      },
      orderUpdates: {
        summary: 'Tells what happens to an order as it happens, as server-sent events; goes on after `Last-Event-ID`.',
        headers: updatesHeaders,
        responses: { 404: problemSchema, 503: problemSchema },
        versions: { v1: v1.orderUpdates },
        handler: ({ params, headers }) => orderUpdates(params.id, headers['last-event-id'], orders),
      },
      quoteShipping: {
        summary: 'What it costs to send a parcel, and how long it takes.',
        query: quoteQuery,
        responses: { 200: quoteSchema, 400: problemSchema, 404: problemSchema, 503: problemSchema, 504: problemSchema },
        versions: { v1: v1.quoteShipping },
        handler: ({ query }) => quoteShipping(query, shipping),
      },
      listProducts: {
        summary: 'What the shop sells, page by page.',
        query: productsQuery,
        responses: { 200: productsSchema, 400: problemSchema, 503: problemSchema },
        versions: { v1: v1.listProducts },
        handler: ({ query }) => listProducts(query, catalog),
      },
      getProduct: {
        summary: 'One product.',
        responses: { 200: productSchema, 404: problemSchema, 503: problemSchema },
        versions: { v1: v1.getProduct },
        handler: ({ params }) => getProduct(params.id, catalog),
      },
    },
    shopExposure,
  )
  await app.add('rest', rest)
})
