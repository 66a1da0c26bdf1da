/** Style as a test, each rule with its reason. The import table is the one of the architecture page. */
import { describe, expect, test } from '@jest/globals'
import { functionSizes, type Source, sources } from './sources.ts'

const all = sources()
const code = all.filter(({ path }) => !isTest(path))

/** Who may import what: a folder's files, and the beginnings of the paths they may import. First match wins. */
const importTable: readonly { folder: string; may: readonly string[]; because: string }[] = [
  { folder: 'mesh/graph/', may: ['mesh/graph/'], because: 'the words of a declaration stand on nothing' },
  {
    folder: 'mesh/checks/',
    may: ['mesh/checks/', 'mesh/graph/'],
    because: 'a rule judges a declaration, not its rendering',
  },
  { folder: 'mesh/plan/', may: ['mesh/plan/', 'mesh/graph/'], because: 'the plan knows no vendor' },
  { folder: 'mesh/diagram/', may: ['mesh/diagram/', 'mesh/plan/'], because: 'a picture shows the plan' },
  {
    folder: 'mesh/choose/',
    may: ['mesh/choose/', 'mesh/graph/'],
    because: 'advice is given in the words of a declaration',
  },
  { folder: 'mesh/admin/', may: ['mesh/admin/'], because: 'asking a service is the same wherever it runs' },
  ...['envoy', 'istio', 'linkerd'].map((name) => ({
    folder: `mesh/providers/${name}/`,
    may: [
      `mesh/providers/${name}/`,
      'mesh/providers/manifest.ts',
      'mesh/providers/cluster.ts',
      'mesh/providers/cors.ts',
      'mesh/providers/problems.ts',
      'mesh/providers/receiving.ts',
      'mesh/providers/capability.ts',
      'mesh/plan/',
      'mesh/graph/policy.ts',
    ],
    because: 'providers are peers: each renders the plan, none knows another',
  })),
  {
    folder: 'mesh/local/',
    may: ['mesh/local/', 'mesh/admin/', 'mesh/plan/', 'mesh/providers/envoy/', 'mesh/graph/names.ts'],
    because: 'the local run is driven by the plan',
  },
  {
    folder: 'cdk8s/',
    may: ['cdk8s/', 'mesh/plan/', 'mesh/providers/', 'mesh/graph/names.ts'],
    because: 'objects are rendered from the plan',
  },
  {
    folder: 'mesh/cluster/',
    may: ['mesh/cluster/', 'mesh/admin/', 'cdk8s/', 'mesh/plan/', 'mesh/providers/', 'mesh/graph/environment.ts'],
    because: 'a cluster is given what was rendered',
  },
  { folder: 'mesh/cli/', may: ['mesh/', 'cdk8s/'], because: 'a command only puts parts together' },
  {
    folder: 'mesh/shop',
    may: ['mesh/shop/', 'mesh/graph/', 'proto/gen/'],
    because: 'a system is nothing but words and contracts',
  },
  {
    folder: 'services/kit/',
    may: ['services/kit/', 'mesh/graph/', 'proto/gen/'],
    because: 'what services stand on knows no domain',
  },
]

/** Where processes start, and what a command is told to read. */
const startsProcess =
  /(^|\/)main\.ts$|\.d\.ts$|^mesh\/shop\.ts$|^examples\/[^/]+\/system\.ts$|^test\/run\.ts$|^bench\/(run|hop\/echo|rest\/server|render\/contender)\.ts$/

describe('imports', () => {
  test.each(importTable)('$folder: $because', ({ folder, may }) => {
    const wrong = code
      .filter(({ path }) => path.startsWith(folder))
      .flatMap(({ path, imports }) =>
        imports
          .filter((imported) => !may.some((start) => imported.startsWith(start)))
          .map((imported) => `${path} imports ${imported}`),
      )
    expect(wrong).toEqual([])
  })

  test('a service imports proto, the kit and its own node: services meet on the wire only', () => {
    const wrong = code
      .filter(({ path }) => path.startsWith('services/') && !path.startsWith('services/kit/'))
      .flatMap(({ path, imports }) => {
        const own = path.split('/').slice(0, 2).join('/')
        const may = [`${own}/`, 'services/kit/', 'proto/gen/', 'mesh/shop', 'mesh/graph/']
        return imports
          .filter((imported) => !may.some((start) => imported.startsWith(start)))
          .map((imported) => `${path} imports ${imported}`)
      })
    expect(wrong).toEqual([])
  })

  test('an export has a reader in another file: what is a file’s own business can change', () => {
    const read = new Set(all.flatMap(({ reads }) => reads))
    const unread = all
      .filter(
        ({ path }) => !startsProcess.test(path) && !read.has(`${path} *`) && !/(^|\/)testdata\/|\.test\.ts$/.test(path),
      )
      .flatMap(({ path, text }) =>
        // A type may stand in the signature of what is read.
        [...text.matchAll(/^export (?:async )?(?:function\*?|const|class) (\w+)/gm)]
          .filter(([, name]) => !read.has(`${path} ${name}`))
          .map(([, name]) => `${path} ${name}`),
      )
    expect(unread).toEqual([])
  })

  test('no file is dead: each is imported, or is where a process starts', () => {
    const imported = new Set(all.flatMap(({ imports }) => imports))
    expect(code.map(({ path }) => path).filter((path) => !imported.has(path) && !startsProcess.test(path))).toEqual([])
  })
})

const banned: readonly { what: string; pattern: RegExp; where: RegExp; except?: RegExp; because: string }[] = [
  { what: 'export *', pattern: /^export \*/m, where: /./, because: 'a barrel hides where a name lives' },
  { what: 'export default', pattern: /^export default/m, where: /./, because: 'a thing has one name everywhere' },
  {
    what: 'default: break',
    pattern: /default:\s*break/,
    where: /./,
    because: 'a switch over a closed set must fail to compile when the set grows',
  },
  {
    what: 'the clock',
    pattern: /Date\.now\(|new Date\(\)|performance\.now\(/,
    where: /^(mesh\/(graph|checks|plan|providers|diagram|choose)|cdk8s)\//,
    because: 'decisions are pure: time is passed in',
  },
  {
    what: 'chance',
    pattern: /Math\.random\(|randomUUID\(/,
    where: /^(mesh\/(graph|checks|plan|providers|diagram|choose)|cdk8s)\//,
    because: 'equal declarations give equal bytes',
  },
  {
    what: 'files and processes',
    pattern: /from 'node:(fs|child_process|net|http)/,
    where: /^(mesh\/(graph|checks|plan|providers|diagram|choose)|cdk8s)\//,
    because: 'only the last stage does I/O',
  },
  {
    what: 'vendors',
    pattern: /\b(envoy|istio|linkerd|kubernetes|strimzi)\b/i,
    where: /^mesh\/(graph|plan)\/[^/]+\.ts$/,
    except: /comment/,
    because: 'the middle knows no vendor',
  },
  {
    what: 'process.env',
    pattern: /process\.env/,
    where: /^services\//,
    except: /^services\/kit\/(app\/configuration|app\/stand-in|telemetry\/telemetry)\.ts$/,
    because: 'configuration is read once, checked, and named in one place',
  },
  {
    what: 'a shell',
    pattern: /shell: true|\bexecSync\(/,
    where: /./,
    because: 'a name with a space or a semicolon must stay a name',
  },
]

describe('banned', () => {
  test.each(banned)('$what: $because', ({ pattern, where, except }) => {
    const found = code
      .filter(({ path }) => where.test(path) && !except?.test(path))
      .filter(({ text }) => pattern.test(withoutComments(text)))
    expect(found.map(({ path }) => path)).toEqual([])
  })

  test('paths of one machine and addresses of registries: a checkout works anywhere', () => {
    const found = all
      .filter(({ path }) => path !== 'test/tidy.test.ts')
      .filter(({ text }) => /['"`/]\/(work|farm|root)\//.test(text))
    expect(found.map(({ path }) => path)).toEqual([])
  })
})

describe('budgets', () => {
  test('files: half have at most 100 lines, nine in ten at most 300, none more than 500', () => {
    const lines = code.map((source) => source.lines)
    expect(quantile(lines, 0.5)).toBeLessThanOrEqual(100)
    expect(quantile(lines, 0.9)).toBeLessThanOrEqual(300)
    expect(all.filter((source) => source.lines > 500).map(describeSize)).toEqual([])
  })

  test('functions: nine in ten have at most 30 lines, none more than 70', () => {
    const sizes = code.flatMap(functionSizes)
    expect(
      quantile(
        sizes.map(({ lines }) => lines),
        0.9,
      ),
    ).toBeLessThanOrEqual(30)
    expect(
      sizes.filter(({ lines }) => lines > 70).map(({ path, line, lines }) => `${path}:${line} has ${lines} lines`),
    ).toEqual([])
  })

  test('an export that another folder uses says what it promises', () => {
    const bare = code
      // A system's nodes say what they are by being declarations.
      .filter(({ path }) => /^(mesh|services\/kit)\//.test(path) && !path.startsWith('mesh/shop'))
      .flatMap((source) => undocumented(source))
    expect(bare).toEqual([])
  })
})

/** Exports without a doc comment before them, of files that are imported from another folder. */
function undocumented(source: Source): string[] {
  const folder = source.path.slice(0, source.path.lastIndexOf('/'))
  const crossing = all.some(
    ({ path, imports }) =>
      imports.includes(source.path) && path.slice(0, path.lastIndexOf('/')) !== folder && !isTest(path),
  )
  if (!crossing) return []
  const lines = source.text.split('\n')
  return lines.flatMap((line, index) => {
    const name = line.match(/^export (?:async )?(?:function|const|type|class) (\w+)/)?.[1]
    return name && !lines[index - 1]?.trimEnd().endsWith('*/') ? [`${source.path}:${index + 1} ${name}`] : []
  })
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
}

function isTest(path: string): boolean {
  return (
    path.endsWith('.test.ts') ||
    path.startsWith('test/') ||
    /(^|\/)(testdata|fixtures?)(\/|\.ts$)|-fixture\.ts$/.test(path)
  )
}

function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

function describeSize({ path, lines }: Source): string {
  return `${path} has ${lines} lines`
}
