/** The programs that judge what is rendered, and the browser. None is needed to run Parley, so they are brought by its tests alone. */
import { join } from 'node:path'
import { isFile, type Machine, programs } from '#local/toolchain/machine.ts'
import { rootDir } from '../sources.ts'

/** A tool of the tests, by the name that its test asks for. */
export type TestToolName =
  | 'apiextensions-apiserver'
  | 'chromium'
  | 'etcd'
  | 'helm'
  | 'kubeconform'
  | 'kube-score'
  | 'checkov'
  | 'kubernetes-schemas'

/** Where fetched tools lie: the toolchain's folder, for a checkout's tools are brought once. */
export const testToolsDir = process.env.PARLEY_TOOLS ?? join(rootDir, '.parley/tools')

/** A Go command, built by `go install`: its module is verified by Go's own checksum database. */
export type GoTool = {
  readonly name: Exclude<TestToolName, 'chromium' | 'etcd' | 'checkov' | 'kubernetes-schemas'>
  readonly package: string
  readonly version: string
  readonly licence: string
}

/** In the order of the time that they take to build, the shortest first. */
export const goTools: readonly GoTool[] = [
  {
    name: 'kubeconform',
    package: 'github.com/yannh/kubeconform/cmd/kubeconform',
    version: 'v0.8.0',
    licence: 'Apache-2.0',
  },
  { name: 'kube-score', package: 'github.com/zegl/kube-score/cmd/kube-score', version: 'v1.20.0', licence: 'MIT' },
  {
    name: 'apiextensions-apiserver',
    package: 'k8s.io/apiextensions-apiserver',
    version: 'v0.34.1',
    licence: 'Apache-2.0',
  },
  { name: 'helm', package: 'helm.sh/helm/v3/cmd/helm', version: 'v3.22.0', licence: 'Apache-2.0' },
]

/** Checkov's own version is pinned; what it stands on is what pip finds for the Python at hand, too long a list to hold by hash. */
export const checkov = { version: '3.3.30', licence: 'Apache-2.0' } as const

/** Kubernetes' own JSON schemas, as a Python package carries them. Pinned by hash. */
export const schemas = {
  requirements: join(import.meta.dirname, 'schemas.requirements.txt'),
  folder: 'kubernetes_validate/kubernetes-json-schema/v1.34.0-local-strict',
  version: '1.34.0',
  licence: 'Apache-2.0',
} as const

/** What Debian's package `etcd-server` holds. */
export const etcdPackage = {
  title: 'etcd 3.4 or newer',
  packageOf: () => 'etcd-server',
  lookedFor: '`etcd` on the PATH',
}

/** A browser, as Debian has it. Ubuntu's package of this name only points to a snap, so there one is installed by hand. */
export const chromiumPackage = {
  title: 'Chromium',
  packageOf: () => 'chromium',
  lookedFor: '`chromium`, `chromium-browser` or `google-chrome` on the PATH',
}

/** Go fetches the toolchain that a module asks for from this version on. */
export const goMin = { major: 1, minor: 21 } as const

/** The folder of a Go tool, named by its version: another version is another folder. */
export function goFolder(tool: Pick<GoTool, 'name' | 'version'>): string {
  return join(testToolsDir, `${tool.name}-${tool.version.slice(1)}`)
}

/** The folder into which pip puts checkov with all it stands on. */
export const checkovDir = join(testToolsDir, `checkov-${checkov.version}`)

/** The folder of the schemas. */
export const schemasDir = join(testToolsDir, `kubernetes-schemas-${schemas.version}`)

/** The path of a tool; null where it was not brought. */
export function findTestTool(name: TestToolName, machine: Machine): string | null {
  switch (name) {
    case 'etcd':
      return programs(machine, 'etcd')[0] ?? null
    case 'chromium':
      return ['chromium', 'chromium-browser', 'google-chrome'].flatMap((name) => programs(machine, name))[0] ?? null
    case 'checkov':
      return there(join(checkovDir, 'bin/checkov'))
    case 'kubernetes-schemas':
      return isFile(join(schemasDir, '_definitions.json')) ? schemasDir : null
    default: {
      const tool = goTools.find((other) => other.name === name)
      return tool ? there(join(goFolder(tool), name)) : null
    }
  }
}

function there(file: string): string | null {
  return isFile(file) ? file : null
}
