import { calls } from '#graph/call.ts'
import { queue, sends, works } from '#graph/queue.ts'
import {
  action,
  type CommandStep,
  choreography,
  command,
  type OrchestrationStep,
  orchestration,
  step,
} from '#graph/saga.ts'
import { type Edge, type ServiceNode, service } from '#graph/service.ts'
import type { SystemNode } from '#graph/system.ts'
import { consumes } from '#graph/topic.ts'
import { ReleaseStockSchema, ReserveStockSchema } from '#proto/parley/inventory/v1/commands_pb.ts'
import { CancelOrderSchema } from '#proto/parley/orders/v1/commands_pb.ts'
import { StepReplySchema } from '#proto/parley/saga/v1/saga_pb.ts'
import { DispatchParcelSchema } from '#proto/parley/shipping/v1/commands_pb.ts'
import {
  answering,
  api,
  breaking,
  type Case,
  cancelled,
  confirmed,
  dispatched,
  email,
  orderEvents,
  placed,
  rejected,
  reserved,
  shipmentEvents,
  stockEvents,
  tiny,
} from './systems.ts'

const orders = service('orders', {
  publishes: [orderEvents],
  edges: [consumes(stockEvents, [reserved, rejected])],
})
const stock = service('stock', {
  publishes: [stockEvents],
  edges: [consumes(orderEvents, [placed, cancelled])],
})
const shipping = service('shipping', {
  publishes: [shipmentEvents],
  edges: [consumes(orderEvents, [confirmed])],
})
const closing = service('orders', {
  publishes: [orderEvents],
  edges: [consumes(stockEvents, [reserved, rejected]), consumes(shipmentEvents, [dispatched])],
})
const undoPlace = { compensation: { on: rejected, emits: cancelled } }
const place = step('place', orders, { emits: placed, ...undoPlace })
const reserve = step('reserve', stock, { on: placed, emits: reserved, refuses: rejected })
const confirm = step('confirm', orders, { on: reserved, emits: confirmed })

function checkout(steps: Parameters<typeof choreography>[1]['steps'], pointOfNoReturn = 'reserve') {
  return tiny([orders, stock], { sagas: [choreography('checkout', { steps, pointOfNoReturn })] })
}

/** Orders, stock and shipping, with the steps after these three. */
function long(more: readonly ReturnType<typeof step>[]): SystemNode {
  const ship = step('ship', shipping, { on: confirmed, emits: dispatched })
  const steps = [{ ...place, by: closing }, reserve, { ...confirm, by: closing }, ship, ...more]
  return tiny([closing, stock, shipping], {
    sagas: [choreography('checkout', { steps, pointOfNoReturn: 'reserve' })],
  })
}

const conductor = service('conductor', { edges: [calls(api('stock'), ['read']), calls(api('bank'), ['write'])] })

function orchestrated(steps: readonly OrchestrationStep[], by: ServiceNode = conductor) {
  return tiny([by, answering('stock'), answering('bank')], {
    sagas: [orchestration('fulfil', { by, steps, pointOfNoReturn: 'charge' })],
  })
}
const hold = action('hold', answering('stock'), { action: 'stock-api/read', compensation: 'read' })
const charge = action('charge', answering('bank'), { action: 'bank-api.write' })

// Its commands, and what it is answered with, are a contract of the kit's.
const orderTasks = queue('order-tasks', { carries: [CancelOrderSchema] })
const stockTasks = queue('stock-tasks', { carries: [ReserveStockSchema, ReleaseStockSchema] })
const parcelTasks = queue('parcel-tasks', { carries: [DispatchParcelSchema] })
const replies = queue('replies', { carries: [StepReplySchema] })
const placer = service('orders', { publishes: [orderEvents], edges: [works(orderTasks), sends(replies)] })
const keeper = service('stock', { edges: [works(stockTasks), sends(replies)] })
const carrier = service('carrier', { edges: [works(parcelTasks), sends(replies)] })
const leaderEdges = [
  consumes(orderEvents, [placed]),
  sends(orderTasks),
  sends(stockTasks),
  sends(parcelTasks),
  works(replies),
] as const

/** A saga by commands; what is given differs from one that can be led. */
function led(
  differs: {
    edges?: readonly Edge[]
    stock?: ServiceNode
    steps?: (steps: CommandStep[]) => CommandStep[]
    replies?: null
    pointOfNoReturn?: string
  } = {},
): SystemNode {
  const { edges = leaderEdges, stock: holder = keeper, steps = (all) => all, pointOfNoReturn = 'ship' } = differs
  const leader = service('leader', { edges })
  const all: CommandStep[] = [
    command('place', placer, { on: placed, via: orderTasks, compensation: CancelOrderSchema }),
    command('hold', holder, { sends: ReserveStockSchema, via: stockTasks, compensation: ReleaseStockSchema }),
    command('ship', carrier, { sends: DispatchParcelSchema, via: parcelTasks }),
  ]
  const answers = differs.replies === null ? {} : { replies }
  return tiny([leader, placer, holder, carrier], {
    sagas: [orchestration('fulfil', { by: leader, ...answers, steps: steps(all), pointOfNoReturn })],
  })
}

/** Cases of the rules PLY301 to PLY307. */
export const sagaCases: readonly Case[] = [
  breaking('PLY301', 'five steps', {
    breaks: long([step('close', closing, { on: dispatched, emits: cancelled })]),
    holds: long([]),
    says: ['has 5 steps; the bound is 4', '→ shipping (ship)', "orchestration('checkout', { by: orders"],
  }),
  breaking('PLY302', 'a step that stays half done', {
    breaks: checkout([step('place', orders, { emits: placed }), reserve, confirm]),
    holds: checkout([place, reserve, confirm]),
    says: ['saga checkout → orders (place)', 'cannot be undone', "step('place', …)"],
  }),
  breaking('PLY302', 'an action that stays half done', {
    breaks: orchestrated([{ ...hold, compensation: null }, charge]),
    holds: orchestrated([hold, charge]),
    says: ['saga fulfil → stock (hold)', "action('hold', …)"],
  }),
  breaking('PLY303', 'a refusal after the point of no return', {
    breaks: checkout([place, reserve, confirm], 'place'),
    also: ['PLY303'],
    holds: checkout([step('place', orders, { emits: placed }), { ...reserve, refuses: null }, confirm], 'place'),
    says: [/saga checkout → (stock \(reserve\)|orders \(place\))/],
  }),
  breaking('PLY303', 'a compensation after the point of no return', {
    breaks: orchestrated([hold, { ...charge, compensation: 'bank-api.write' }]),
    holds: orchestrated([hold, charge]),
    says: ['stands at', 'Take `compensation` off'],
  }),
  breaking('PLY304', 'an event that the service does not publish', {
    breaks: checkout([place, { ...reserve, emits: dispatched }, { ...confirm, on: dispatched }]),
    holds: checkout([place, reserve, confirm]),
    says: [/emits ShipmentDispatched|reacts to ShipmentDispatched/],
  }),
  breaking('PLY304', 'an event that the service does not consume', {
    breaks: tiny([orders, { ...stock, spec: { ...stock.spec, edges: [consumes(orderEvents, [cancelled])] } }], {
      sagas: [choreography('checkout', { steps: [place, reserve, confirm], pointOfNoReturn: 'reserve' })],
    }),
    holds: checkout([place, reserve, confirm]),
    says: ['stock (reserve)', 'reacts to OrderPlaced, which stock does not consume'],
  }),
  breaking('PLY304', 'a step that waits for what no step before it emits', {
    breaks: checkout([place, { ...reserve, on: cancelled }, confirm]),
    holds: checkout([place, reserve, confirm]),
    says: ['which no step before it emits', 'OrderPlaced'],
  }),
  breaking('PLY304', 'a refusal that nobody hears', {
    breaks: deaf([reserved]),
    holds: deaf([reserved, rejected]),
    says: ['refuses with StockRejected', 'edge of orders'],
  }),
  breaking('PLY305', 'a step that the orchestrator may not call', {
    breaks: orchestrated([hold, charge], service('conductor', { edges: [calls(api('stock'), ['read'])] })),
    holds: orchestrated([hold, charge]),
    says: ['conductor → bank (charge)', "calls(bank-api, ['write'])"],
  }),
  breaking('PLY305', 'a compensation that does not exist', {
    breaks: orchestrated([{ ...hold, compensation: 'stock-api/release' }, charge]),
    holds: orchestrated([hold, charge]),
    says: ['stock-api/release', 'stock-api/read and stock-api/write'],
  }),
  breaking('PLY305', 'a compensation whose queue the leader may not send to', {
    breaks: led({ edges: leaderEdges.filter((edge) => edge.kind !== 'sends' || edge.queue.name !== 'order-tasks') }),
    holds: led(),
    also: ['PLY208'],
    says: ['leader → orders (place)', 'may not send to order-tasks', '`sends(order-tasks)`'],
  }),
  breaking('PLY305', 'a participant that may not reply', {
    breaks: led({ stock: service('stock', { edges: [works(stockTasks)] }) }),
    holds: led(),
    says: ['stock takes part in fulfil and may not send to its queue of replies', '`sends(replies)`'],
  }),
  breaking('PLY305', 'a command that its queue does not carry and that does not say what it is about', {
    breaks: led({ steps: ([place, hold, ship]) => [place, { ...hold, sends: email }, ship] as CommandStep[] }),
    holds: led(),
    says: [/SendEmail has no field `step`|SendEmail, which stock-tasks does not carry/],
  }),
  breaking('PLY305', 'a step that nobody asks for and that nothing says is done', {
    breaks: led({ steps: ([place, hold, ship]) => [place, { ...hold, sends: null }, ship] as CommandStep[] }),
    holds: led(),
    says: ['neither a command that asks for it nor an event'],
  }),
  breaking('PLY305', 'a saga that starts at an event which its leader does not hear of', {
    breaks: led({ edges: leaderEdges.slice(1) }),
    holds: led(),
    says: ['OrderPlaced, which leader does not consume'],
  }),
  breaking('PLY305', 'commands that nobody can reply to', {
    breaks: led({ replies: null }),
    holds: led(),
    says: ['nobody can reply', 'Declare `replies`'],
  }),
  breaking('PLY306', 'a point of no return that does not stand alone', {
    breaks: led({ steps: ([place, hold, ship]) => [place, hold, { ...ship, alongside: true }] as CommandStep[] }),
    holds: led(),
    says: ['runs at the same time as hold', 'Take `alongside` off'],
  }),
  breaking('PLY306', 'a point of no return that is no step', {
    breaks: checkout([place, reserve, confirm], 'pay'),
    holds: checkout([place, reserve, confirm]),
    says: ['pay, is none of its steps', 'place, reserve and confirm'],
  }),
  breaking('PLY306', 'two steps of one name', {
    breaks: checkout([place, reserve, { ...confirm, name: 'reserve' }]),
    holds: checkout([place, reserve, confirm]),
    says: ['several steps named reserve'],
  }),
  breaking('PLY307', 'events that go back and forth', {
    breaks: tiny([orders, stock]),
    holds: checkout([place, reserve, confirm]),
    says: ['orders ⇢ stock (OrderCancelled, OrderPlaced) ⇢ orders (StockRejected, StockReserved)', '2 services'],
  }),
  breaking('PLY307', 'what follows a saga’s end is none of it', {
    breaks: tiny(
      [closing, stock, { ...shipping, spec: { ...shipping.spec, edges: [consumes(orderEvents, [placed])] } }],
      {
        sagas: [
          choreography('checkout', {
            steps: [{ ...place, by: closing }, reserve, { ...confirm, by: closing }],
            pointOfNoReturn: 'reserve',
          }),
        ],
      },
    ),
    holds: tiny([closing, stock, shipping], {
      sagas: [
        choreography('checkout', {
          steps: [{ ...place, by: closing }, reserve, { ...confirm, by: closing }],
          pointOfNoReturn: 'reserve',
        }),
      ],
    }),
    says: ['orders ⇢ shipping (OrderPlaced)'],
  }),
]

/** A checkout whose first service hears of these events of stock only. */
function deaf(heard: (typeof reserved | typeof rejected)[]) {
  const node = service('orders', { publishes: [orderEvents], edges: [consumes(stockEvents, heard)] })
  const first = step('place', node, { emits: placed, compensation: { on: reserved, emits: cancelled } })
  return tiny([node, stock], {
    sagas: [
      choreography('checkout', { steps: [first, reserve, { ...confirm, by: node }], pointOfNoReturn: 'reserve' }),
    ],
  })
}
