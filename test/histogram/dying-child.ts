// Loaded before a child process (`node --import`): the process dies by kill -9 at one step of its work on the disk.
// DIE_AT=N is the step, counted over open, write, sync, truncate, close, rename and rm of everything but locks;
// DIE_HOW=before dies at its door, torn writes the first half of what was to be written and dies. STOP_AT=N stops instead
// (SIGSTOP), until somebody lets it go on. The number of steps goes to stdout at the end.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const dieAt = Number(process.env.DIE_AT ?? 0)
const stopAt = Number(process.env.STOP_AT ?? 0)
let steps = 0

/** Counts a step; true if it is the one to be torn. */
function step(name: string, writes = false): boolean {
  steps++
  if (process.env.STEPS !== undefined) fs.writeSync(2, `step ${steps} ${name}\n`)
  if (steps === stopAt) {
    fs.writeSync(1, 'stopped\n')
    process.kill(process.pid, 'SIGSTOP')
  }
  if (steps !== dieAt) return false
  if (writes && process.env.DIE_HOW === 'torn') return true
  process.kill(process.pid, 'SIGKILL')
  return false
}

const { open, rename, rm, stat } = fs.promises
fs.promises.open = async (path, ...rest) => {
  step(`open ${path}`)
  const handle = await open(path, ...rest)
  for (const name of ['writeFile', 'appendFile'] as const) {
    const original = handle[name].bind(handle)
    handle[name] = async (data) => {
      const text = String(data)
      if (step(`${name} ${path}`, true)) {
        await original(text.slice(0, Math.ceil(text.length / 2)))
        process.kill(process.pid, 'SIGKILL')
      }
      await original(data)
    }
  }
  for (const name of ['sync', 'close'] as const) {
    const original = handle[name].bind(handle)
    handle[name] = async () => {
      step(`${name} ${path}`)
      await original()
    }
  }
  const truncate = handle.truncate.bind(handle)
  handle.truncate = async (length) => {
    step(`truncate ${path}`)
    await truncate(length)
  }
  return handle
}
fs.promises.rename = async (from, to) => {
  step(`rename ${to}`)
  await rename(from, to)
}
fs.promises.rm = async (path, options) => {
  step(`rm ${path}`)
  await rm(path, options)
}
fs.promises.stat = (async (path: fs.PathLike) => {
  step(`stat ${path}`)
  return stat(path)
}) as typeof stat
syncBuiltinESMExports()
process.on('exit', () => fs.writeSync(1, `steps ${steps}\n`))
