/** What the front end asks, made from `operations/` by its test. Above each is the `documentId` that clients send. */
export const operations: readonly string[] = [
  // sha256:2000c58de6fdc32cce29e798bc81543987fccb39425bb4a4c4a60e20edb7c6b9
  `query CustomersPage($ids: [ID!]!, $orders: Int! = 5) {
  customers(ids: $ids) {
    id
    name
    orders(first: $orders) {
      id
      status
      total {
        currency
        minorUnits
      }
      items {
        quantity
        product {
          name
        }
      }
    }
  }
}`,
  // sha256:d610066b3bb5c44ea0d225e6fcaca16d9300c36f6d0db9fbd0a4502809dd3956
  `query OrderPage($id: ID!) {
  order(id: $id) {
    id
    status
    placedAt
    cancelReason
    trackingNumber
    total {
      ...amount
    }
    customer {
      id
      name
    }
    items {
      productId
      quantity
      unitPrice {
        ...amount
      }
      product {
        name
        description
      }
    }
    history {
      status
      at
      note
    }
  }
}

fragment amount on Money {
  currency
  minorUnits
}`,
  // sha256:28b48764e33f84c832c5148bf1dba97467cd820f936f59b246c4b4879bcf1e40
  `subscription OrderUpdates($id: ID!, $after: String) {
  orderUpdates(orderId: $id, afterPosition: $after) {
    position
    version
    status
    at
    note
  }
}`,
  // sha256:988501435db4317952825f9e29135ae640a19c91ee2a00d103e94a1a7f99941d
  `query OrdersPage($ids: [ID!]!) {
  orders(ids: $ids) {
    id
    status
    placedAt
    customer {
      id
      name
    }
    items {
      quantity
      product {
        name
        price {
          currency
          minorUnits
        }
      }
    }
  }
}`,
  // sha256:7128315ddd2d4515d7b7539cbf0da9587d4c49693009184f82aed0498afde5bb
  `query ShopWindow($first: Int! = 20, $after: ID) {
  products(first: $first, after: $after) {
    id
    name
    description
    price {
      currency
      minorUnits
    }
  }
}`,
]
