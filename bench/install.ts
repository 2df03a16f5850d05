// Size and time of `npm ci` for a user (no development dependencies), with and without the optional ones, in a folder of its
// own with the packages already in npm's cache where they are: npx tsx bench/install.ts
import { execFileSync } from 'node:child_process'
import { cp, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined || !found.isDirectory()) return found?.size ?? 0
  const sizes = await Promise.all((await readdir(path)).map((name) => sizeOf(join(path, name))))
  return sizes.reduce((sum, size) => sum + size, 0)
}

const mb = (bytes: number): string => (bytes / 1e6).toFixed(0)
console.log(`load ${loadavg()[0]?.toFixed(1)}\n`)
console.log('| npm ci | seconds | MB | largest, MB |')
console.log('| --- | ---: | ---: | --- |')
for (const omit of [['dev'], ['dev', 'optional']]) {
  const folder = await mkdtemp(join(tmpdir(), 'install-'))
  for (const name of ['package.json', 'package-lock.json', '.npmrc'])
    await cp(join(root, name), join(folder, name))
  const start = performance.now()
  const flags = omit.map((kind) => `--omit=${kind}`)
  execFileSync('npm', ['ci', '--no-audit', '--no-fund', ...flags], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const seconds = (performance.now() - start) / 1000
  const modules = join(folder, 'node_modules')
  const names = (await readdir(modules)).filter((name) => !name.startsWith('.'))
  const sizes = await Promise.all(
    names.map(async (name) => ({ name, size: await sizeOf(join(modules, name)) })),
  )
  const largest = sizes.sort((a, b) => b.size - a.size).slice(0, 5)
  const total = sizes.reduce((sum, { size }) => sum + size, 0)
  const list = largest.map(({ name, size }) => `${name} ${mb(size)}`).join(', ')
  console.log(`| ${flags.join(' ')} | ${seconds.toFixed(0)} | ${mb(total)} | ${list} |`)
  await rm(folder, { recursive: true })
}
