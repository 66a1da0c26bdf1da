/**
 * The flags of a Java part. The first compiler alone: on two shared cores a start costs half the CPU, and a broker at the
 * rates of a local run gains nothing from the second. One collector thread keeps the memory small.
 */
export function jvmFlags({ heapMiB, dir }: { readonly heapMiB: number; readonly dir: string }): readonly string[] {
  return [
    `-Xmx${heapMiB}m`,
    '-XX:TieredStopAtLevel=1',
    '-XX:+UseSerialGC',
    '-XX:+ExitOnOutOfMemoryError',
    '-Djava.awt.headless=true',
    // Otherwise each JVM leaves a file in the machine's /tmp.
    '-XX:-UsePerfData',
    `-Djava.io.tmpdir=${dir}`,
  ]
}
