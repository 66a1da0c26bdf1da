import type { JsonType } from '#kit/http/json-schema.ts'

/** What a product is called; it becomes part of paths and keys elsewhere, so it holds nothing that means something there. */
export const productIdPattern = '[A-Za-z0-9][A-Za-z0-9._-]{0,63}'

/** Whether a product can be called so. */
export function isProductId(id: string): boolean {
  return productIdForm.test(id)
}

const productIdForm = new RegExp(`^${productIdPattern}$`)

// Postgres has no zero byte in a text.
const text = { type: 'string', pattern: '^[^\\u0000]*$', description: 'Text without a zero byte.' } as const

/** The highest price. */
export const minorUnitsMax = 1_000_000_000

/** A product as it is written. */
export const newProductSchema = {
  type: 'object',
  required: ['name', 'description', 'price'],
  additionalProperties: false,
  properties: {
    name: { ...text, minLength: 1, maxLength: 200 },
    description: { ...text, maxLength: 2_000 },
    price: {
      type: 'object',
      required: ['currency', 'minorUnits'],
      additionalProperties: false,
      properties: {
        currency: {
          type: 'string',
          const: 'EUR',
          description: 'ISO 4217. The shop sells in one: an order has one total.',
        },
        minorUnits: { type: 'integer', minimum: 1, maximum: minorUnitsMax, description: '1999 is 19.99 EUR.' },
      },
    },
  },
} as const

/** What is known of a product beside its name in the catalogue. */
export type NewProduct = JsonType<typeof newProductSchema>

/** A product as it is read. */
export type Product = NewProduct & { readonly productId: string; readonly revision: number }

/**
 * The entity tag of a product. It follows from the revision, so that nothing is read to compare it; the letter stands for
 * how a product is written in JSON, and is changed with that.
 */
export function productTag(revision: number): string {
  return `"a${revision}"`
}

/** Whether a product is already as somebody wants it. */
export function isSame(product: NewProduct, wanted: NewProduct): boolean {
  return (
    product.name === wanted.name &&
    product.description === wanted.description &&
    product.price.currency === wanted.price.currency &&
    product.price.minorUnits === wanted.price.minorUnits
  )
}
