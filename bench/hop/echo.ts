/** The callee of the hop: answers at once, so that all that is measured is the way there and back. Listens at its argument. */
import { rmSync } from 'node:fs'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { checkStock } from './contract.ts'

const socket = process.argv[2] ?? ''
rmSync(socket, { force: true })
const server = new Server()
server.addService(
  { checkStock },
  {
    checkStock: (_call: unknown, callback: (error: null, answer: object) => void) => callback(null, { lines: [] }),
  },
)
server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => {
  if (error) throw error
})
