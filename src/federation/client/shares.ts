// A client's half of two-server aggregation: its vote becomes two shares with a proof, each sealed to its aggregator (HPKE,
// RFC 9180: X25519, HKDF-SHA256, AES-128-GCM). Loaded when a round asks for it.
import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core'
import { PretextError } from '../../errors.ts'
import type { Vote } from '../../histogram/clip.ts'
import { NONCE_SIZE } from '../../vdaf/parameters.ts'
import { type Keys, parseIdentity, type SealingKey, sealingKey } from '../protocol/aggregator.ts'
import { fromBase64Url, toBase64Url } from '../protocol/bytes.ts'
import type { Manifest } from '../protocol/manifest.ts'
import {
  encodeReport,
  helperSigned,
  type ReportRound,
  type Role,
  reportRound,
  type Sealed,
  sealedWith,
} from '../protocol/report-bytes.ts'
import type { ClientIdentity } from './identity.ts'

/** A vote after sharding and before sealing. Kept with the upload, so that it can be sealed again under other keys. */
export interface Shares {
  readonly id: Uint8Array
  readonly publicShare: Uint8Array
  readonly leader: Uint8Array
  readonly helper: Uint8Array
}

export function shareVote(manifest: Manifest, hash: string, vote: Vote): Shares {
  const { vdaf, context } = reportRound(manifest, hash)
  const bits = new Uint8Array(vdaf.length)
  for (const index of vote.indices) bits[index] = 1
  const id = crypto.getRandomValues(new Uint8Array(NONCE_SIZE))
  const { publicShare, inputShares } = vdaf.shard(bits, { context, nonce: id })
  const [leader, helper] = inputShares as [Uint8Array, Uint8Array]
  return { id, publicShare, leader, helper }
}

/**
 * The bytes that leave. Throws PretextError where the keys are not those of the manifest's aggregators, or older than the
 * newest of them that this client saw.
 */
export async function sealReport(
  manifest: Manifest,
  hash: string,
  shares: Shares,
  options: {
    readonly keys: Keys
    readonly identity: ClientIdentity
    readonly now: number
    readonly newest?: Readonly<Record<Role, number>>
  },
): Promise<Uint8Array> {
  const { aggregation } = manifest
  if (aggregation.mode !== 'two-server') throw new RangeError('expected a round of two servers')
  const { keys, identity, now, newest } = options
  const round = reportRound(manifest, hash)
  const part = { id: shares.id, client: identity.publicKey, publicShare: shares.publicShare }
  const keyOf = (role: Role) => sealingKey(keys[role], parseIdentity(aggregation[role]), now, newest?.[role])
  const helper = await seal(round, 'helper', part, keyOf('helper'), shares.helper)
  return encodeReport(round.vdaf, {
    ...part,
    signature: await identity.sign(helperSigned(round, { ...part, helper })),
    helper,
    leader: await seal(round, 'leader', part, keyOf('leader'), shares.leader),
  })
}

async function seal(
  round: ReportRound,
  role: Role,
  part: { readonly id: Uint8Array; readonly client: Uint8Array; readonly publicShare: Uint8Array },
  key: SealingKey,
  share: Uint8Array,
): Promise<Sealed> {
  if (globalThis.crypto.subtle === undefined) {
    throw new PretextError('expected Web Crypto to seal a vote with, this page has none', {
      code: 'federation',
      hint: 'open the page over https',
    })
  }
  const suite = new CipherSuite({
    kem: new DhkemX25519HkdfSha256(),
    kdf: new HkdfSha256(),
    aead: new Aes128Gcm(),
  })
  const { info, aad } = sealedWith(round, role, part)
  const recipientPublicKey = await suite.kem.deserializePublicKey(exact(key.publicKey))
  const { enc, ct } = await suite.seal({ recipientPublicKey, info: exact(info) }, exact(share), exact(aad))
  return { keyId: key.id, box: new Uint8Array([...new Uint8Array(enc), ...new Uint8Array(ct)]) }
}

/** The buffer of these bytes alone. */
function exact(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}

export function sharesText(shares: Shares): string {
  const { id, publicShare, leader, helper } = shares
  return [id, publicShare, leader, helper].map(toBase64Url).join('.')
}

/** Undefined where it is not what `sharesText` gave. */
export function sharesFrom(text: string): Shares | undefined {
  const [id, publicShare, leader, helper] = text.split('.').map(fromBase64Url)
  return id === undefined || publicShare === undefined || leader === undefined || helper === undefined
    ? undefined
    : { id, publicShare, leader, helper }
}
