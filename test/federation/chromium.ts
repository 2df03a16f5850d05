// Chromium for tests: where it is, or an attempt to install it, or a line that says why it is missing.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

export const CHROMIUM = process.env.PRETEXT_CHROMIUM ?? '/usr/bin/chromium'

/** Whether there is a Chromium; tries Debian's package where there is none. */
export function findChromium(): boolean {
  if (existsSync(CHROMIUM)) return true
  if (process.getuid?.() === 0) {
    spawnSync('apt-get', ['install', '-y', '--no-install-recommends', 'chromium'], { timeout: 240_000 })
  }
  return existsSync(CHROMIUM)
}

/** For a start and for each step on a page: the half minute of Playwright is short on a busy machine. */
export const PATIENCE_MS = 150_000

export const FLAGS = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu']
