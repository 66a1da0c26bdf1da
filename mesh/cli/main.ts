import { Command, CommanderError } from 'commander'
import { RenderError } from '#cdk8s/workloads/render-error.ts'
import { RunFailure } from '#local/supervisor/failure.ts'
import { UnknownProcess } from '#local/supervisor/supervisor.ts'
import { ToolchainError } from '#local/toolchain/problem.ts'
import { ClusterError, WrongContext } from '#mesh/cluster/failure.ts'
import { applyCommand } from './apply.ts'
import { bundleCommand } from './bundle.ts'
import { checkCommand } from './check.ts'
import { chooseCommand } from './choose.ts'
import { devCommand } from './dev.ts'
import { diffCommand } from './diff.ts'
import { dlqCommand } from './dlq.ts'
import { downCommand } from './down.ts'
import { exitCodes, UsageError } from './exit.ts'
import { graphCommand } from './graph.ts'
import { logsCommand } from './logs.ts'
import { operateCommand } from './operate.ts'
import { planCommand } from './plan.ts'
import { renderCommand } from './render.ts'
import { replayCommand } from './replay.ts'
import { restartCommand } from './restart.ts'
import { rotateCommand } from './rotate.ts'
import { sagaCommand } from './saga.ts'
import { startCommand } from './start.ts'
import { statusCommand } from './status.ts'
import { stopCommand } from './stop.ts'
import { upCommand } from './up.ts'

const program = new Command('parley')
  .description('Declare once, in TypeScript, how your services talk; get a mesh that does exactly that.')
  .showHelpAfterError('Run it with --help to see how it is used.')
  .exitOverride()

for (const register of [
  checkCommand,
  planCommand,
  graphCommand,
  diffCommand,
  renderCommand,
  bundleCommand,
  chooseCommand,
  upCommand,
  downCommand,
  applyCommand,
  statusCommand,
  logsCommand,
  startCommand,
  stopCommand,
  restartCommand,
  rotateCommand,
  dlqCommand,
  replayCommand,
  devCommand,
  sagaCommand,
  operateCommand,
]) {
  register(program)
}
for (const command of program.commands) {
  command.exitOverride()
  for (const verb of command.commands) verb.exitOverride()
}

// Whoever reads may have read enough, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = exitCodeOf(error)
}

/** Says what is wrong, where commander has not done so already. A programmer's error keeps its stack. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.fine : exitCodes.usage
  const wrongUse =
    error instanceof UsageError ||
    error instanceof UnknownProcess ||
    error instanceof WrongContext ||
    error instanceof RenderError
  const ofRun = error instanceof RunFailure || error instanceof ToolchainError || error instanceof ClusterError
  const expected = wrongUse || ofRun
  const text = error instanceof Error ? (expected ? error.message : (error.stack ?? error.message)) : String(error)
  process.stderr.write(`${text}\n`)
  if (error instanceof ClusterError && error.code === 'INTERRUPTED') return exitCodes.interrupted
  return wrongUse ? exitCodes.usage : exitCodes.failed
}
