/** A real browser for tests, and pages for it from origins of their own. */
import { createServer } from 'node:http'
import { join } from 'node:path'
import { build } from 'esbuild'
import { type Browser, launch } from 'puppeteer-core'
import { rootDir } from '../sources.ts'

/** Starts a browser without a window. Its sandbox needs rights that root gives away, so that root runs it without. */
export function startBrowser(executablePath: string): Promise<Browser> {
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  return launch({ executablePath, headless: true, args: [...args, '--disable-gpu', '--disable-dev-shm-usage'] })
}

/** Ends a browser and its helpers: one that outlives it holds the pipes of its output, and with them the process that reads them. */
export async function stopBrowser(browser: Browser): Promise<void> {
  const leader = browser.process()
  await browser.close()
  for (const pipe of leader?.stdio ?? []) pipe?.destroy()
  try {
    if (leader?.pid) process.kill(-leader.pid, 'SIGKILL')
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ESRCH') throw thrown
  }
}

/** Serves one page whose script is the bundle of a module, from an address of its own. */
export async function servePage(module: string, address: string) {
  const script = await bundle(join(rootDir, module))
  const server = createServer(({ url }, response) => {
    const isScript = url === '/page.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(isScript ? script : '<!doctype html><title>page</title><script src="/page.js"></script>')
  })
  await new Promise<void>((resolve) => server.listen(0, address, resolve))
  const at = server.address()
  if (at === null || typeof at === 'string') throw new Error('the page is served at no port')
  return {
    origin: `http://${address}:${at.port}`,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}

async function bundle(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    target: 'es2022',
  })
  return outputFiles[0]?.text ?? ''
}
