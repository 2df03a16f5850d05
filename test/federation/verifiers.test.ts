// Worker threads and one's own thread do the same work, in the same order, with the same bytes.
import { afterAll, expect, it } from 'vitest'
import type { Manifest } from '../../src/federation/protocol/manifest.ts'
import type { VerifyingRound } from '../../src/federation/verification/jobs.ts'
import { ownThread, type Verifiers } from '../../src/federation/verification/verifiers.ts'
import { workerVerifiers } from '../../src/federation/verification/worker-verifiers.ts'
import { enrolAll, openedRound } from './example.ts'
import { reportOf, twoServers } from './two-servers.ts'

const workers = workerVerifiers(2)
afterAll(() => workers.close())

it('threads answer what one thread answers, for honest and broken reports', async () => {
  const servers = await twoServers()
  await enrolAll(servers.store, 9)
  const { hash } = await openedRound(servers.coordinator, servers.terms)
  const manifest = (await servers.coordinator.manifest(hash)) as Manifest
  const reports = await Promise.all(Array.from({ length: 9 }, (_, n) => reportOf(servers, hash, n, [n % 8])))
  // One that the leader cannot open, one that the helper cannot.
  const broken = reports.map((report, n) => {
    const changed = report.slice()
    if (n === 2) changed[changed.length - 1] = (changed.at(-1) as number) ^ 1
    if (n === 5) changed[250] = (changed[250] as number) ^ 1
    return changed
  })
  const [own, others] = [await servers.leaderKeys.current(), await servers.helperKeys.current()]
  const base = { manifest, hash, verifyKey: own.verifyKey(servers.helper, manifest.task) }
  const leader: VerifyingRound = { ...base, secrets: own.openingSecrets(Date.now()) }
  const helper: VerifyingRound = { ...base, secrets: others.openingSecrets(Date.now()) }
  const whole = async (verifiers: Verifiers) => {
    const job = await verifiers.start(leader, broken)
    const { answers, result } = await verifiers.answer(helper, job.items)
    return { items: job.items, answers, result, own: await job.finish(answers) }
  }
  const [alone, threads] = [await whole(ownThread()), await whole(workers)]
  expect(threads).toEqual(alone)
  expect(alone.items).toHaveLength(8)
  expect(alone.answers.filter(({ outcome }) => outcome === 'accepted')).toHaveLength(7)
  expect([alone.own.accepted, alone.result.accepted]).toEqual([7, 7])
  expect(alone.own.checksum).toEqual(alone.result.checksum)
})

it('an answer of another length than the job is an error, in a thread too', async () => {
  const servers = await twoServers()
  await enrolAll(servers.store, 1)
  const { hash } = await openedRound(servers.coordinator, servers.terms)
  const manifest = (await servers.coordinator.manifest(hash)) as Manifest
  const own = await servers.leaderKeys.current()
  const round = {
    manifest,
    hash,
    verifyKey: own.verifyKey(servers.helper, manifest.task),
    secrets: own.openingSecrets(Date.now()),
  }
  for (const verifiers of [ownThread(), workers]) {
    const job = await verifiers.start(round, [await reportOf(servers, hash, 0, [0])])
    await expect(job.finish([])).rejects.toThrow('expected one answer for each report of the job')
  }
})

it('a thread that has ended is an error, not a wait without end', async () => {
  const servers = await twoServers()
  const { hash } = await openedRound(servers.coordinator, servers.terms)
  const manifest = (await servers.coordinator.manifest(hash)) as Manifest
  const one = workerVerifiers(1)
  const round = { manifest, hash, verifyKey: new Uint8Array(32), secrets: new Map() }
  const asked = one.start(round, [])
  asked.catch(() => {})
  await one.close()
  await expect(one.start(round, [])).rejects.toThrow('a thread has ended')
})
