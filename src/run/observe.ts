// What a run says of itself while it goes: one RoundReport for each round, sealed in the round's folder.
import { readFile } from 'node:fs/promises'
import { writeDurable } from '../durable.ts'
import type { Embedder } from '../embeddings/embedder.ts'
import type { Matrix } from '../embeddings/matrix.ts'
import {
  type ConsentedEmbeddings,
  clusterBootstrap,
  embedConsented,
  nearestDistances,
} from '../evaluate/consented-distance.ts'
import type { OnEvent } from '../events.ts'
import type { Population } from '../evolution/population.ts'
import type { RoundResult } from '../evolution/round.ts'
import { noisyVotes } from '../histogram/noise.ts'
import type { Random } from '../random.ts'
import type { Interval, RoundReport } from '../report/data.ts'
import { diversity, diversityWarning } from '../report/diversity.ts'
import { infinityAsText, textAsInfinity } from '../report/json.ts'
import type { ConsentedTexts } from '../texts/private-texts.ts'

const SAMPLES = 8
const VOTES_SHOWN = 200

export interface Observer {
  /** Mean distance of the consented texts to the nearest of these texts; null without consented texts. */
  distance(texts: readonly string[], name: string): Promise<Interval | null>
  round(t: number, epsilon: number, population: Population, result: RoundResult): Promise<RoundReport>
}

export interface ObserverOptions {
  readonly embedder: Embedder
  readonly consented: ConsentedTexts | undefined
  readonly maxTextsPerClient: number
  /** Whether clients vote on the candidates' own embeddings, which are then not made twice. */
  readonly votedAsTheyAre: boolean
  /** The L2 bound of one client's vote, in votes. */
  readonly l2Bound: number
  readonly random: Random
  readonly onEvent: OnEvent
  readonly warn: (message: string) => void
}

export function createObserver(options: ObserverOptions): Observer {
  const { embedder, consented, random, l2Bound } = options
  let embedded: Promise<ConsentedEmbeddings> | undefined
  const consentedEmbeddings = (texts: ConsentedTexts): Promise<ConsentedEmbeddings> => {
    embedded ??= embedConsented(texts, embedder, { maxTextsPerClient: options.maxTextsPerClient })
    return embedded
  }
  const distance = async (
    texts: readonly string[],
    name: string,
    known?: Matrix,
  ): Promise<Interval | null> => {
    if (consented === undefined || texts.length === 0) return null
    try {
      const of = await consentedEmbeddings(consented)
      const synthetic = known ?? (await embedder.embed(texts))
      return clusterBootstrap(await nearestDistances(of, synthetic), random.fork('bootstrap', name))
    } catch {
      // Reporting decides nothing, so it stops nothing either.
      options.warn('the distance of the consented texts could not be measured')
      return null
    }
  }
  return {
    distance,
    async round(t, epsilon, population, result) {
      const texts = population.map((candidate) => candidate.text)
      const spread = diversity(texts)
      const warnings: string[] = []
      const warn = (message: string) => {
        warnings.push(message)
        options.warn(message)
      }
      const narrow = diversityWarning(spread, texts.length, `of round ${t}`)
      if (narrow !== undefined) warn(narrow)
      if (result.fellBack) {
        warn(
          `round ${t}: no candidate's votes passed the threshold, so the best tenth survived; use a lower threshold, a smaller population or more clients`,
        )
      }
      const sigma = result.histogram.sigma / result.histogram.gridSteps
      const votes = Array.from(noisyVotes(result.histogram), (v) => v / l2Bound).sort((a, b) => b - a)
      return {
        round: t,
        epsilon,
        populationSize: population.length,
        survivors: result.survivors.length,
        noisyVotes: votes.slice(0, VOTES_SHOWN).map((v) => Number(v.toFixed(4))),
        threshold: result.threshold === null ? null : result.threshold / l2Bound,
        sigma: sigma / l2Bound,
        consentedDistance: await distance(
          texts,
          `round-${t}`,
          options.votedAsTheyAre ? result.embeddings : undefined,
        ),
        diversity: spread,
        samples: random.fork('samples', t).sample(texts, SAMPLES),
        warnings,
      }
    },
  }
}

export async function readRoundReport(file: string): Promise<RoundReport> {
  return JSON.parse(await readFile(file, 'utf8'), textAsInfinity) as RoundReport
}

export async function writeRoundReport(file: string, report: RoundReport): Promise<void> {
  await writeDurable(file, `${JSON.stringify(report, infinityAsText, 2)}\n`)
}
