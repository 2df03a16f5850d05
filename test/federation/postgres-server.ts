// A real PostgreSQL of Debian's package for the time of a test, in a folder of its own. Undefined, with a line that says why,
// where it is neither there nor can be installed.
import { execFileSync, spawnSync } from 'node:child_process'
import { chownSync, existsSync, readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface PostgresServer {
  readonly url: string
  /** As after kill -9 of the server, and a start. */
  crash(): void
  stop(): Promise<void>
}

const VERSIONS = '/usr/lib/postgresql'
const root = process.getuid?.() === 0

function binaries(): string | undefined {
  if (!existsSync(VERSIONS)) return undefined
  const folders = readdirSync(VERSIONS).map((version) => join(VERSIONS, version, 'bin'))
  return folders.filter((folder) => existsSync(join(folder, 'initdb'))).at(-1)
}

export async function startPostgres(): Promise<PostgresServer | undefined> {
  if (binaries() === undefined && root) {
    spawnSync('apt-get', ['install', '-y', 'postgresql'], { stdio: 'ignore', timeout: 300_000 })
  }
  const bin = binaries()
  if (bin === undefined) {
    console.warn('SKIPPED: PostgreSQL is not installed and could not be (apt-get install postgresql)')
    return undefined
  }
  const folder = await mkdtemp(join(tmpdir(), 'postgres-'))
  const data = join(folder, 'data')
  // The server refuses to run as root.
  const run = (program: string, ...args: string[]) => {
    const command = [join(bin, program), ...args]
    const [file, ...rest] = root ? ['runuser', '-u', 'postgres', '--', ...command] : command
    execFileSync(file as string, rest, { stdio: 'ignore', cwd: folder })
  }
  if (root) {
    const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
    chownSync(folder, id('-u'), id('-g'))
  }
  run('initdb', '-D', data, '-U', 'tester', '--auth=trust', '-E', 'UTF8', '--no-sync')
  // Last, so that nobody else is given it in between.
  const port = await freePort()
  const start = () =>
    run(
      'pg_ctl',
      '-D',
      data,
      '-w',
      '-l',
      join(folder, 'log'),
      '-o',
      `-p ${port} -k ${folder} -h 127.0.0.1`,
      'start',
    )
  start()
  return {
    url: `postgres://tester@127.0.0.1:${port}/postgres`,
    crash() {
      run('pg_ctl', '-D', data, '-w', '-m', 'immediate', 'stop')
      start()
    },
    async stop() {
      run('pg_ctl', '-D', data, '-w', '-m', 'immediate', 'stop')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
