import type { WriteStream } from 'node:tty'
import type { UpEvent } from '#local/up.ts'

/** Shows how a start goes on: a few lines that change in place on a terminal, one line a happening elsewhere. */
export type Progress = {
  show(event: UpEvent): void
  say(text: string): void
  /** Seconds since it was opened, such as `12.3 s`. */
  elapsed(): string
  /** Removes the lines that change. Nothing is shown after it. */
  end(): void
}

type ProcessShown = Extract<UpEvent, { kind: 'process' }>
type Kind = ProcessShown['of']

const titles: Readonly<Record<Kind, string>> = {
  part: 'parts',
  standin: 'stand-ins',
  sidecar: 'sidecars',
  service: 'services',
}
const frameMs = 100

/** Opens the display. It owns the last lines of the stream until `end`. */
export function openProgress(stream: WriteStream): Progress {
  const beganMs = performance.now()
  const elapsed = (): string => `${((performance.now() - beganMs) / 1000).toFixed(1)} s`
  const processes = new Map<string, ProcessShown>()
  let tool: string | null = null
  const live = stream.isTTY ? openLive(stream, () => block(processes, tool, elapsed())) : null
  const say = (text: string): void => (live ? live.above(text) : void stream.write(`${text}\n`))
  return {
    elapsed,
    say,
    end: () => live?.end(),
    show(event) {
      switch (event.kind) {
        case 'note':
          return say(event.text)
        case 'tool':
          tool = event.state === 'done' ? null : `${event.what}: ${event.detail || event.state}`
          if (event.state !== 'working')
            say(`${elapsed().padStart(8)}  ${event.what} ${event.state} ${event.detail}`.trimEnd())
          return
        case 'process': {
          const before = processes.get(event.name)
          processes.set(event.name, event)
          const line = happening(before, event)
          if (line && (!live || isTrouble(event))) say(`${elapsed().padStart(8)}  ${line}`)
          return
        }
        case 'ready':
        case 'busy':
        case 'failed':
          return
      }
    },
  }
}

/** What is worth a line: sidecars come up by the dozen and only their trouble is. */
function happening(before: ProcessShown | undefined, event: ProcessShown): string | null {
  if (isTrouble(event)) return `${event.name} ${event.detail ?? event.state}`
  if (event.state !== 'ready' || event.of === 'sidecar' || before?.state === 'ready') return null
  return `${event.name} is ready`
}

function isTrouble({ state }: ProcessShown): boolean {
  return state === 'backoff' || state === 'failed' || state === 'degraded'
}

function block(processes: ReadonlyMap<string, ProcessShown>, tool: string | null, elapsed: string): string[] {
  const all = [...processes.values()]
  const lines = (Object.keys(titles) as Kind[]).flatMap((kind) => {
    const some = all.filter((one) => one.of === kind)
    if (some.length === 0) return []
    const open = some.filter(({ state }) => state !== 'ready').map(({ name }) => name.replace('.sidecar', ''))
    return [
      `${titles[kind].padEnd(10)} ${String(some.length - open.length).padStart(2)}/${some.length}  ${open.join(' ')}`,
    ]
  })
  return [...(tool ? [tool] : []), ...lines, elapsed]
}

function openLive(stream: WriteStream, lines: () => string[]) {
  let shown = 0
  const erase = (): void => {
    if (shown > 0) stream.write(`\x1b[${shown}A\x1b[J`)
    shown = 0
  }
  const draw = (): void => {
    erase()
    const cut = lines().map((line) => line.slice(0, (stream.columns || 80) - 1))
    stream.write(`${cut.join('\n')}\n`)
    shown = cut.length
  }
  const timer = setInterval(draw, frameMs)
  timer.unref()
  return {
    above(text: string): void {
      erase()
      stream.write(`${text}\n`)
    },
    end(): void {
      clearInterval(timer)
      erase()
    },
  }
}
