// A report as a real run would fill it, for tests and for looking at: five rounds on a set of bug reports.
import type { Diversity, RunReport } from '../../src/report/data.ts'

/** Smooth made-up votes: a few candidates far up, the rest near the noise. */
function votes(round: number, sigma: number): readonly number[] {
  return Array.from({ length: 200 }, (_, i) => {
    const signal = 9 * Math.exp(-i / (6 + 3 * round))
    const noise = sigma * 2.3 * (1 - (2 * (i + 0.5)) / 200) ** 3
    return Number((signal + noise).toFixed(4)) + 0
  })
}

const OPENINGS = ['The package', 'After upgrading', 'After upgrading', 'I recently', 'I recently']

function diversity(round: number): Diversity {
  return {
    distinct1: 0.182 - 0.012 * round,
    distinct2: 0.61 - 0.035 * round,
    equalOpenings: [0.02, 0.05, 0.09, 0.17, 0.28][round - 1] ?? 0.2,
    commonOpening: OPENINGS[round - 1] ?? 'I recently',
  }
}

export function exampleReport(): RunReport {
  const sigma = 1.12
  const epsilons = [0.6831, 0.9945, 1.2402, 1.4514, 1.6399]
  return {
    format: 'pretext-report',
    version: 1,
    run: {
      id: '2026-11-22T10-41-07Z-7f3a',
      name: 'debian bug reports',
      startedAt: '2026-11-22T10:41:07.000Z',
      finishedAt: '2026-11-22T11:02:55.000Z',
      seconds: 1308,
      command: 'pretext run configs/paper.yaml --set evolution.rounds=5 --seed 7',
      configHash: '3f9d1c0aa5d4de4f0d0f6c0b3b7a7f4d2e8f1f9f1f8c4b7a9e6d5c4b3a291807',
      pretextVersion: '0.1.0',
      dataset: 'debian',
      seed: 7,
    },
    simulation: false,
    privacy: {
      epsilon: 1.6399,
      delta: 1e-5,
      unit: 'client',
      adjacency: 'add-remove',
      other: { adjacency: 'substitution', epsilon: 2.4517 },
      noiseMultiplier: 5.2431,
      voteMode: 'normalised',
      l2Bound: 1,
      releases: 5,
      redrawn: 1,
      accountant: 'analytic Gaussian',
      aggregation: 'trusted',
      dataset: { epsilon: 2.3307, releases: 9, runs: 2 },
      notCovered: [
        'the language model and the embedder: what they learned in their own training',
        'choosing the config by looking at the results of several runs (each run is charged, the choice is not)',
        'who the clients are and how many: both were declared public',
      ],
    },
    priorKnowledge: [
      'domain hint: "a bug report about a Debian package"',
      'labels: none',
      'public texts: none',
    ],
    embedder: {
      kind: 'transformers.js',
      model: 'all-MiniLM-L6-v2',
      sha256: '8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6',
      dtype: 'int8',
      pooling: 'mean',
      normalised: true,
      dim: 384,
      device: 'cpu',
    },
    llm: {
      id: 'llama:SmolLM2-135M-Instruct Q4_1',
      calls: 11_204,
      cachedCalls: 310,
      promptTokens: 2_481_077,
      completionTokens: 901_334,
      dollars: 0,
      pricesDate: null,
    },
    rounds: epsilons.map((epsilon, i) => {
      const round = i + 1
      const mean = 0.62 - 0.16 * (1 - Math.exp(-0.6 * i))
      return {
        round,
        epsilon,
        populationSize: 1024,
        survivors: [31, 44, 52, 57, 60][i] ?? 60,
        noisyVotes: votes(round, sigma),
        threshold: 2.25,
        sigma,
        consentedDistance: { mean, low: mean - 0.012, high: mean + 0.013 },
        diversity: diversity(round),
        samples:
          i === 0
            ? [
                'A good day starts with a good breakfast.',
                'The printer does not print when the printer is off.',
              ]
            : [
                'After upgrading to 2.4 the daemon exits with "cannot open socket". Downgrading helps.',
                'Package: foo\nVersion: 1.2-3\n\nInstalling it over 1.1 fails: the postinst script calls a program that is not there.',
              ],
      }
    }),
    final: {
      consentedToPopulation: { mean: 0.471, low: 0.459, high: 0.484 },
      consentedToCorpus: { mean: 0.432, low: 0.421, high: 0.444 },
    },
    corpus: {
      texts: 1988,
      requested: 2000,
      seeds: 244,
      rejected: { duplicate: 141, 'too short': 37, refusal: 4, 'near a consented text': 0 },
      lengths: [120, 418, 601, 402, 233, 121, 64, 21, 8].map((texts, i) => ({
        fromWords: i * 20,
        toWords: i * 20 + 19,
        texts,
      })),
      diversity: {
        distinct1: 0.094,
        distinct2: 0.392,
        equalOpenings: 0.19,
        commonOpening: 'After upgrading',
      },
      labels: { grave: 204, important: 611, normal: 1173 },
      samples: [
        { text: 'After upgrading the kernel, suspend no longer works on this laptop.', label: 'important' },
        {
          text: 'The manual page still describes an option that was removed two releases ago.',
          label: 'normal',
        },
        {
          text: 'dpkg: error processing package (--configure)\n installed post-installation script returned 1',
          label: 'grave',
        },
      ],
    },
    warnings: ['The last round removed fewer than half of the candidates: the threshold may be low.'],
  }
}

/** The same run without noise, as a declared simulation. */
export function simulationReport(): RunReport {
  const report = exampleReport()
  return {
    ...report,
    simulation: true,
    privacy: {
      ...report.privacy,
      epsilon: Infinity,
      other: { adjacency: 'substitution', epsilon: Infinity },
      noiseMultiplier: 0,
      redrawn: 0,
      dataset: { epsilon: Infinity, releases: 5, runs: 1 },
    },
    rounds: report.rounds.map((round) => ({ ...round, epsilon: Infinity, sigma: 0, threshold: null })),
  }
}
