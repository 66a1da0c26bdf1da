import type { FastifyReply } from 'fastify'
import { type Problem, problemType, retryAfterSeconds } from './problem.ts'

/** Answers with a problem document, and with when to come back where that is worth it. */
export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  const seconds = retryAfterSeconds(problem.code)
  if (seconds !== undefined) reply.header('retry-after', seconds)
  // It tells of this request; nobody else may be answered with it.
  reply.header('cache-control', 'no-store')
  return reply.code(problem.status).type(problemType).send(JSON.stringify(problem))
}
