import { expect, test } from '@jest/globals'
import type { FastifyError, FastifySchemaValidationError } from 'fastify'
import { invalidRequest } from './invalid-request.ts'

const found = (keyword: string, params: Record<string, string | string[]>, message: string, instancePath = '') =>
  ({ keyword, params, message, instancePath, schemaPath: '' }) as FastifySchemaValidationError

test('names each field once, and says in words what is wrong with it', () => {
  const validation = [
    found('required', { missingProperty: 'customerId' }, "must have required property 'customerId'"),
    found('additionalProperties', { additionalProperty: 'colour' }, 'must NOT have additional properties', '/lines/0'),
    found('enum', { allowedValues: ['card', 'invoice'] }, 'must be equal to one of the allowed values', '/payment'),
  ]
  const refusal = invalidRequest({ validation, validationContext: 'body' } as FastifyError)
  expect(refusal.message).toBe(
    'customerId is missing; lines[0].colour is nothing that is known here; payment must be equal to one of the allowed values: card, invoice.',
  )
  const query = [found('required', { missingProperty: 'country' }, "must have required property 'country'")]
  expect(invalidRequest({ validation: query, validationContext: 'querystring' } as FastifyError).message).toBe(
    'query:country is missing.',
  )
})
