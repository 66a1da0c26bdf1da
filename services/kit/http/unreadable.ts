import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { acceptCorrelationId, correlationHeader } from '../context.ts'
import { httpProblem, problemType } from './problem.ts'
import { pathOf } from './stack.ts'

/** Answers a request whose path cannot be decoded; fastify asks before any hook has run. */
export function answerBadPath(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  const correlationId = acceptCorrelationId([request.headers[correlationHeader]].flat()[0])
  const problem = httpProblem('malformed-request', `${error.message}.`, { instance: pathOf(request), correlationId })
  void reply
    .code(problem.status)
    .header(correlationHeader, correlationId)
    .type(problemType)
    .send(JSON.stringify(problem))
}

/** Answers bytes that are no HTTP at all, or headers that are too large or too late, and closes the connection. */
export function answerNoHttp(error: Error & { code?: string }, socket: Socket): void {
  // The client broke the connection: nobody reads an answer.
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const where = { instance: '', correlationId: acceptCorrelationId(undefined) }
  const problem = httpProblem(
    'malformed-request',
    `The request cannot be read (${error.code ?? error.message}).`,
    where,
  )
  const body = JSON.stringify(problem)
  const head = [
    'HTTP/1.1 400 Bad Request',
    `content-type: ${problemType}`,
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  socket.end(`${head.join('\r\n')}\r\nconnection: close\r\n\r\n${body}`)
}
