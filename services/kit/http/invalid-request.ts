import type { FastifyError, FastifySchemaValidationError } from 'fastify'
import { invalidArgument, type ServiceError, type Violation } from '../errors.ts'

type Found = FastifySchemaValidationError & { readonly parentSchema?: { readonly description?: unknown } }

/** The refusal of a request that does not fit its schemas: each field with what is wrong with it, in words. */
export function invalidRequest({ validation = [], validationContext }: FastifyError): ServiceError {
  const inBody = validationContext === 'body'
  const part = validationContext === 'headers' ? 'header' : validationContext === 'querystring' ? 'query' : 'path'
  const violations = validation.map((found: Found): Violation => {
    const { keyword, instancePath, params } = found
    const missing = typeof params.missingProperty === 'string' ? params.missingProperty : params.additionalProperty
    const field = fieldOf(typeof missing === 'string' ? `${instancePath}/${missing}` : instancePath)
    return {
      field: inBody ? field : `${part}:${field}`,
      code: keyword,
      message: wordsOf(found),
    }
  })
  const list = violations.map(({ field, message }) => `${field || 'the body'} ${message}`).slice(0, 5)
  return invalidArgument(`${list.join('; ')}.`, ...violations)
}

/** The field is named before these words, which need not name it again. */
function wordsOf(found: Found): string {
  const { keyword, params, message = 'is wrong' } = found
  switch (keyword) {
    case 'required':
      return 'is missing'
    case 'additionalProperties':
      return 'is nothing that is known here'
    case 'pattern':
      return unlike(found)
    default:
      return `${message}${allowedOf(params)}`
  }
}

/** Of a `pattern`: what its schema says of it, for a regular expression says little to most. */
function unlike({ parentSchema, message = 'is wrong' }: Found): string {
  const description = parentSchema?.description
  return typeof description === 'string' ? `does not fit its description: ${description.replace(/\.$/, '')}` : message
}

const allowedMax = 20

/** Of an `enum`: its values, which the message does not name. */
function allowedOf({ allowedValues }: Record<string, unknown>): string {
  if (!Array.isArray(allowedValues)) return ''
  const more = allowedValues.length > allowedMax ? ', …' : ''
  return `: ${allowedValues.slice(0, allowedMax).join(', ')}${more}`
}

/** `/items/0/quantity` as `items[0].quantity`. */
function fieldOf(pointer: string): string {
  const steps = pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  return steps.map((step, index) => (/^\d+$/.test(step) ? `[${step}]` : index === 0 ? step : `.${step}`)).join('')
}
