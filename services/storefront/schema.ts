/** How many may be asked for at once; what they are multiplied with is bounded by the cost of an operation. */
export const pageMax = { orders: 50, customers: 20, customerOrders: 20, products: 100 } as const

/** What the shop's front end may ask. Fields that others are asked for are nullable: without them the rest is still there. */
export const schema = /* GraphQL */ `
  type Query {
    "An order, as it was moments ago; null where there is none."
    order(id: ID!): Order
    "Up to ${pageMax.orders} orders, in the order of the ids."
    orders(ids: [ID!]!): [Order]! @listSize(by: ["ids"])
    "A customer by id, whether or not we know what they are called."
    customer(id: ID!): Customer
    "Up to ${pageMax.customers} customers, in the order of the ids."
    customers(ids: [ID!]!): [Customer]! @listSize(by: ["ids"])
    product(id: ID!): Product
    "A page of the products, up to ${pageMax.products}; the next one is after the id of the last."
    products(first: Int! = 20, after: ID): [Product!] @listSize(by: ["first"])
  }

  type Subscription {
    """
    What happens to an order, as it happens: from its beginning, or after a position that an update gave. A browser that comes
    back by itself goes on after the last one it has.
    """
    orderUpdates(orderId: ID!, afterPosition: String): OrderUpdate!
  }

  enum OrderStatus {
    PLACED
    CONFIRMED
    SHIPPED
    CANCELLED
    "One that this interface does not know yet."
    UNKNOWN
  }

  type Order {
    id: ID!
    customer: Customer!
    items: [OrderItem!]! @listSize(assumed: 5)
    total: Money!
    status: OrderStatus!
    cancelReason: String
    trackingNumber: String
    "The number of its last event, from 1."
    version: WholeNumber!
    "RFC 3339."
    placedAt: String!
    history: [OrderStep!]! @listSize(assumed: 3)
  }

  type OrderItem {
    productId: ID!
    "As the catalogue has it now; null where it is away, or has it no more."
    product: Product
    quantity: Int!
    "The price of one, as it was when the order was placed."
    unitPrice: Money!
  }

  "One thing that happened to an order."
  type OrderStep {
    version: WholeNumber!
    status: OrderStatus!
    at: String!
    "Why it was cancelled, or the tracking number."
    note: String
  }

  type OrderUpdate {
    "Where to go on after this update."
    position: String!
    orderId: ID!
    version: WholeNumber!
    status: OrderStatus!
    at: String!
    note: String
  }

  type Customer {
    id: ID!
    "Null until we have heard of them."
    name: String
    "The newest orders first, up to ${pageMax.customerOrders}."
    orders(first: Int! = 10): [Order!] @listSize(by: ["first"])
  }

  type Product {
    id: ID!
    name: String!
    description: String!
    price: Money!
  }

  type Money {
    currency: String!
    "1999 is 19.99 EUR."
    minorUnits: WholeNumber!
  }
`
