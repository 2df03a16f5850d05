// Where downloaded models live: one folder per user, as each system wants it.
import { isAbsolute, join } from 'node:path'

export type Environment = Readonly<Record<string, string | undefined>>

/** `PRETEXT_CACHE`, else `XDG_CACHE_HOME/pretext`, else the system's own place for caches. */
export function cacheFolder(env: Environment, platform: NodeJS.Platform, home: string): string {
  if (env.PRETEXT_CACHE) return env.PRETEXT_CACHE
  // The XDG specification tells programs to ignore a relative value.
  if (env.XDG_CACHE_HOME && isAbsolute(env.XDG_CACHE_HOME)) return join(env.XDG_CACHE_HOME, 'pretext')
  if (platform === 'win32')
    return join(env.LOCALAPPDATA || join(home, 'AppData', 'Local'), 'pretext', 'Cache')
  if (platform === 'darwin') return join(home, 'Library', 'Caches', 'pretext')
  return join(home, '.cache', 'pretext')
}

/** The variable that forbids the network, if one does. */
export function offlineBy(env: Environment): string | undefined {
  return ['PRETEXT_OFFLINE', 'HF_HUB_OFFLINE'].find((name) =>
    ['1', 'true', 'yes', 'on'].includes((env[name] ?? '').toLowerCase()),
  )
}
