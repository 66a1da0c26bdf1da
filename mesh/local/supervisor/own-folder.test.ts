import { chmodSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { RunFailure } from './failure.ts'
import { makeOwnFolder } from './own-folder.ts'

let parent: string
let dir: string

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'own-folder-'))
  dir = join(parent, 's')
})

afterEach(() => rmSync(parent, { recursive: true, force: true }))

test('a folder is made for its owner alone, and found again', () => {
  makeOwnFolder(dir)
  expect(lstatSync(dir).mode & 0o777).toBe(0o700)
  makeOwnFolder(dir)
})

test('a folder that others may write to, a link and a folder of another user are refused, each with its reason', () => {
  mkdirSync(dir)
  chmodSync(dir, 0o777)
  expect(() => makeOwnFolder(dir)).toThrow(RunFailure)
  expect(() => makeOwnFolder(dir)).toThrow('its mode is 0777, and must be 0700')
  chmodSync(dir, 0o700)
  expect(() => makeOwnFolder(dir, lstatSync(dir).uid + 1)).toThrow('it belongs to the user of number')
  symlinkSync(dir, join(parent, 'link'))
  expect(() => makeOwnFolder(join(parent, 'link'))).toThrow('it is a link')
})
