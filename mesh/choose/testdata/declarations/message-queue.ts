import { queue, sends, works } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'
import { SendEmailSchema as SendEmail } from '#proto/parley/notifications/v1/tasks_pb.ts'

const emails = queue('emails', { carries: [SendEmail], redelivery: { attempts: 5 }, lengthMax: 100_000 })

const accounts = service('accounts', { owns: [postgres()], edges: [sends(emails)] })
const mailer = service('mailer', { owns: [postgres()], edges: [works(emails, { prefetch: 10 })] })

export const example = system('example', { services: [accounts, mailer] })
