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
    expect(renderEmail(create(SendEmailSchema, task), 'ann@mail.example')).toMatchObject({
      messageId: '<e-1@shop.example>',
      to: 'ann@mail.example',
      subject: 'Your order o-1 is on its way',
      text: expect.stringContaining('PLY1'),
    })
  })

  test('about no order names none', () => {
    const welcome = { ...task, orderId: '', template: 'customer-welcome', parameters: { name: 'Ann' } }
    const { subject, text } = renderEmail(create(SendEmailSchema, welcome), 'ann@mail.example')
    expect([subject, text]).toEqual(['Welcome to the shop', expect.stringMatching(/^Dear Ann,\n(?!.*Order)/)])
  })

  test('cannot be given a header from outside', () => {
    const evil = create(SendEmailSchema, { ...task, orderId: 'o-1\r\nBcc: everybody@example' })
    const email = renderEmail(evil, 'ann@mail.example')
    expect(email.subject).not.toMatch(/[\r\n]/)
  })

  test('of an unknown template, or without what its template needs, is none', () => {
    const render = (other: object) => () =>
      renderEmail(create(SendEmailSchema, { ...task, ...other }), 'ann@mail.example')
    for (const template of ['lottery', 'toString'])
      expect(render({ template })).toThrow(`There is no template ${template}`)
    expect(render({ parameters: {} })).toThrow('The template order-shipped needs trackingNumber')
  })
})
