// Which version of the protocol each side speaks: in a header of every request and of every answer, so that two who do not
// understand each other hear so, and who must update, before anything else. Who names none is of version 1, or no pretext.
import { PretextError } from '../../errors.ts'
import { PROTOCOL } from './manifest.ts'

export const PROTOCOL_HEADER = 'pretext-protocol'

/** Who names no version. */
const FIRST = 'pretext-federation/1'

/** The version in a header, or of one that is missing or of another form: it is shown to people. */
export function spokenIn(header: string | null | undefined): string {
  return /^pretext-federation\/[1-9]\d{0,5}$/.test(header ?? '') ? (header as string) : FIRST
}

/**
 * Whether requests and answers of this path name their version. Blobs are the same bytes in every version, and a cache may keep
 * them for a year; the others are for people and their tools.
 */
export function namesVersion(path: string): boolean {
  return path.startsWith('/v1/') && !/^\/v1\/(blobs\/|operator\/|openapi\.json$)/.test(path)
}

const isOlder = (spoken: string) => Number(spoken.split('/')[1]) < Number(PROTOCOL.split('/')[1])

/** For who asked in another version, as the detail of a refusal that every version understands. */
export function refusedVersion(whom: string, spoken: string): string {
  const where = isOlder(spoken) ? 'where you ask from' : `at ${whom}`
  return `${whom} speaks ${PROTOCOL}, you speak ${spoken}: update pretext ${where}`
}

/** For who got an answer in another version. */
export function otherVersion(whom: string, server: string, header: string | null): PretextError {
  const spoken = spokenIn(header)
  const theirs = header === null ? `no version, as ${spoken} and other programs do` : spoken
  return new PretextError(`${whom} at ${server} names ${theirs}; this pretext speaks ${PROTOCOL}`, {
    code: 'federation',
    hint: isOlder(spoken)
      ? `check the address; if ${whom} is there, its operator must update pretext`
      : 'update pretext on this machine',
  })
}
