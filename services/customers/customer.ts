import { createHash } from 'node:crypto'
import { domainToASCII } from 'node:url'
import { invalidArgument, type Violation } from '#kit/errors.ts'

/** Who registers, as it is kept. */
export type NewCustomer = {
  readonly name: string
  /** Where they are written to. */
  readonly emailAddress: string
  /** Equal for two spellings of one address. */
  readonly emailKey: string
}

const localCharactersMax = 64
const addressCharactersMax = 254
const local = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

// Anybody can have a welcome sent to any address, with this name in it: it holds no link, nor what mail programs make one of.
const name = /^(?=.*\p{L})(?!.*\.\S)[\p{L}\p{M}\p{N} .,&'’-]{1,100}$/u

/**
 * Reads who wants to register.
 * @throws ServiceError `invalid-argument` with each field that is wrong
 */
export function readCustomer(given: { readonly name: string; readonly emailAddress: string }): NewCustomer {
  const called = given.name.trim().normalize('NFC')
  const emailAddress = readAddress(given.emailAddress.trim())
  const violations: Violation[] = []
  if (!name.test(called)) {
    const message = "A name has 1 to 100 letters, digits, spaces, and . , & ' -; after a dot comes a space."
    violations.push({ field: 'name', code: 'format', message })
  }
  if (emailAddress === null) {
    violations.push({
      field: 'emailAddress',
      code: 'format',
      message: 'This is no e-mail address such as ann@mail.example.',
    })
  }
  if (emailAddress === null || violations.length > 0) {
    throw invalidArgument('Nobody can be registered with this', ...violations)
  }
  return { name: called, emailAddress, emailKey: emailAddress.toLowerCase() }
}

/** What tells two requests under one key apart: all that they ask. */
export function requestHash({ name: called, emailAddress }: NewCustomer): string {
  return createHash('sha256')
    .update(JSON.stringify([called, emailAddress]))
    .digest('base64url')
}

/** An address with its domain in lower case and ASCII; null where it is none that mail can be sent to over the internet. */
function readAddress(given: string): string | null {
  const at = given.lastIndexOf('@')
  const [mailbox, domain] = [given.slice(0, Math.max(at, 0)), domainToASCII(given.slice(at + 1))]
  const labels = domain.split('.')
  const isDomain = labels.length >= 2 && labels.every((part) => label.test(part)) && !/^\d+$/.test(labels.at(-1) ?? '')
  if (mailbox.length > localCharactersMax || !local.test(mailbox) || !isDomain) return null
  const address = `${mailbox}@${domain}`
  return address.length <= addressCharactersMax ? address : null
}
