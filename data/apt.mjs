// Debian's package index and packages by apt, in a folder of its own: the machine's apt state is neither used nor changed.
// The mirror comes from the machine's own apt sources, or from the caller.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

function run(command, args, cwd) {
  try {
    return execFileSync(command, args, {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 2 ** 28,
    })
  } catch (error) {
    if (error.code === 'ENOENT')
      throw new Error(`expected the command ${command} (Debian or Ubuntu), found none; run this there`)
    throw new Error(`${command} failed: ${String(error.stderr ?? error.message).trim()}`)
  }
}

/** The first mirror that the machine's apt sources name for `suite`: apt says so itself, before any list is fetched. */
function machineMirror(suite) {
  const uris = run('apt-get', ['update', '--print-uris'])
  const found = uris.split('\n').find((line) => line.includes(`/dists/${suite}/`))
  if (!found)
    throw new Error(
      `expected a mirror of ${suite} in the apt sources of this machine, found none; name one with --mirror URL`,
    )
  return found.slice(found.indexOf("'") + 1, found.indexOf(`/dists/${suite}/`))
}

/** An apt of its own under `folder`, with the index of one suite brought up to date. */
export function openApt({ folder, suite, mirror = machineMirror(suite) }) {
  for (const path of ['state/lists/partial', 'cache/archives/partial', 'etc', 'debs'])
    mkdirSync(join(folder, path), { recursive: true })
  const sources = join(folder, 'etc/sources.list')
  const trust = existsSync(keyring) ? ` [signed-by=${keyring}]` : ''
  writeFileSync(sources, `deb${trust} ${mirror} ${suite} main\n`)
  const settings = {
    'Dir::Etc::SourceList': sources,
    'Dir::Etc::SourceParts': '/nonexistent',
    'Dir::State': join(folder, 'state'),
    'Dir::State::status': '/dev/null',
    'Dir::Cache': join(folder, 'cache'),
    'APT::Architecture': 'amd64',
    'APT::Architectures': 'amd64',
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'en',
    'Acquire::GzipIndexes': 'false',
  }
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  run('apt-get', [...options, '--error-on=any', 'update'])
  const lists = join(folder, 'state/lists')
  const list = (ending) => {
    const name = readdirSync(lists).find((file) => file.endsWith(ending))
    if (!name)
      throw new Error(
        `expected a list ending in ${ending} after apt-get update, found none; try another --mirror`,
      )
    return join(lists, name)
  }
  return {
    packages: () => list('_main_binary-amd64_Packages'),
    translation: () => list('_main_i18n_Translation-en'),
    release: () => list('_InRelease'),
    /** Downloads several packages at once, for `unpack` to find. */
    download(names) {
      run('apt-get', [...options, 'download', ...names], join(folder, 'debs'))
    },
    /** Downloads one package, checks it against the signed index, and unpacks it; returns the folder and the version. */
    unpack(name) {
      const there = () => readdirSync(join(folder, 'debs')).find((file) => file.startsWith(`${name}_`))
      if (!there()) run('apt-get', [...options, 'download', name], join(folder, 'debs'))
      const deb = there()
      const into = join(folder, 'unpacked', name)
      mkdirSync(into, { recursive: true })
      run('dpkg-deb', ['-x', join(folder, 'debs', deb), into])
      return { folder: into, version: decodeURIComponent(deb.split('_')[1]) }
    },
  }
}
