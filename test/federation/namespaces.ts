// A small network on one machine: each program in a network namespace of its own, joined by a bridge, where this user may
// make them (root on Linux); else everything on the loopback, which the caller says in its output.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Place {
  /** Address of this place, as the others see it. */
  readonly host: string
  /** Put in front of a command that is to run there. */
  readonly prefix: readonly string[]
}

export interface Network {
  readonly namespaces: boolean
  /** The test process itself. */
  readonly here: Place
  readonly places: readonly Place[]
  close(): void
}

const LOOPBACK: Place = { host: '127.0.0.1', prefix: [] }

export function openNetwork(count: number): Network {
  const id = `p${process.pid % 100_000}`
  const subnet = `10.77.${process.pid % 250}`
  const bridge = `${id}b`
  const made: string[] = []
  const ip = (line: string) => spawnSync('ip', line.split(' ')).status === 0
  const close = () => {
    for (const name of made) ip(`netns del ${name}`)
    ip(`link del ${bridge}`)
  }
  const add = (n: number): Place | undefined => {
    const name = `${id}n${n}`
    const host = `${subnet}.${n + 10}`
    if (!ip(`netns add ${name}`)) return undefined
    made.push(name)
    const fine = [
      `link add ${id}v${n} type veth peer name eth0 netns ${name}`,
      `link set ${id}v${n} master ${bridge} up`,
      `-n ${name} addr add ${host}/24 dev eth0`,
      `-n ${name} link set eth0 up`,
      `-n ${name} link set lo up`,
    ].every(ip)
    return fine ? { host, prefix: ['ip', 'netns', 'exec', name] } : undefined
  }
  const bridged =
    process.platform === 'linux' &&
    [
      `link add ${bridge} type bridge`,
      `addr add ${subnet}.1/24 dev ${bridge}`,
      `link set ${bridge} up`,
    ].every(ip)
  const places = bridged ? Array.from({ length: count }, (_, n) => add(n)) : [undefined]
  const found = places.flatMap((place) => (place === undefined ? [] : [place]))
  if (found.length === count) {
    return { namespaces: true, here: { host: `${subnet}.1`, prefix: [] }, places: found, close }
  }
  close()
  return {
    namespaces: false,
    here: LOOPBACK,
    places: Array.from({ length: count }, () => LOOPBACK),
    close() {},
  }
}

/** A program that runs another one at a place: for those who can only be told a path. */
export function launcherAt({ prefix }: Place, program: string, folder: string, name: string): string {
  const file = join(folder, name)
  writeFileSync(file, `#!/bin/sh\nexec ${[...prefix, program].join(' ')} "$@"\n`, { mode: 0o755 })
  return file
}
