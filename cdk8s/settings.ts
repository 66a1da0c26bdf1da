import type { Settings } from '#providers/cluster.ts'
import { problemsOf, readYaml, withDefaults } from './schema.ts'
import { settingsSchema } from './settings-schema.ts'

/** A settings file that cannot be used. The message names the file, and each field with what it may hold. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
}

/**
 * Reads the settings of an environment from YAML. Fields that are absent get their defaults. Throws a SettingsError that
 * names every wrong or unknown field at once; `file` is only for its message.
 */
export function parseSettings(text: string, file: string): Settings {
  const value = readYaml(text, (message) => new SettingsError(`${file} ${message}`))
  const problems = problemsOf(value, settingsSchema)
  if (problems.length > 0) {
    throw new SettingsError(`${file} cannot be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
  }
  return withDefaults(value, settingsSchema) as Settings
}
