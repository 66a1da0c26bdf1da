import { create } from '@bufbuild/protobuf'
import { describe, expect, test } from '@jest/globals'
import { SendEmailSchema } from '#proto/parley/notifications/v1/tasks_pb.ts'
import { renderEmail } from './email.ts'

const task = {
  emailId: 'e-1',
  orderId: 'o-1',
  customerId: 'c-1',
  template: 'order-shipped',
  parameters: { trackingNumber: 'PLY1' },
}

describe('an e-mail', () => {
  test('is addressed, and has the same id however often it is made', () => {
    expect(renderEmail(create(SendEmailSchema, task))).toMatchObject({
      messageId: '<e-1@shop.example>',
      to: 'c-1@customers.example',
      subject: 'Your order o-1 is on its way',
      text: expect.stringContaining('PLY1'),
    })
  })

  test('cannot be given a header from outside', () => {
    const email = renderEmail(create(SendEmailSchema, { ...task, orderId: 'o-1\r\nBcc: everybody@example' }))
    expect(email.subject).not.toMatch(/[\r\n]/)
  })

  test('of an unknown template, or without what its template needs, is none', () => {
    const render = (other: object) => () => renderEmail(create(SendEmailSchema, { ...task, ...other }))
    for (const template of ['lottery', 'toString'])
      expect(render({ template })).toThrow(`There is no template ${template}`)
    expect(render({ parameters: {} })).toThrow('The template order-shipped needs trackingNumber')
  })
})
