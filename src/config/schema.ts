// The one schema of the config: source of the types, of configs/pretext.schema.json and of docs/config.md. Sections stand
// in the order of the data flow. Epsilon and delta have no default.
import { z } from 'zod'

const path = z.string().min(1)
const positive = z.int().positive()
const share = z.number().min(0).max(1)
const schedule = z.union([positive, z.array(positive).min(1)])

const Texts = z
  .strictObject({
    path: z
      .union([path, z.array(path).min(1)])
      .describe(
        'File or files, relative to the config: .jsonl, .csv, .tsv, .parquet, .json (PrE-Text), also .gz',
      ),
    format: z
      .enum(['jsonl', 'csv', 'tsv', 'parquet', 'json'])
      .optional()
      .describe('By default from the ending'),
    text: z.string().default('text').describe('Column with the text'),
    client: z.string().optional().describe('Column with the client; needed for unit "client"'),
    label: z.string().optional().describe('Column with the label, for label-conditional runs'),
    onBadRow: z
      .enum(['error', 'skip'])
      .default('error')
      .describe('What to do with a row that has no usable text'),
  })
  .describe('Where texts come from')

const Data = z.strictObject({
  dataset: z
    .string()
    .regex(/^[\w.-]+$/, 'expected letters, digits, ".", "_" or "-"')
    .describe('Name of the data set, given by its owner: the ledger counts what it has spent, over all runs'),
  simulation: z
    .boolean()
    .default(false)
    .describe('The owner declares these texts free for experiments; every artefact then carries a banner'),
  private: Texts.optional().describe(
    'The private texts. Required, but for a federation: there they stay with the clients',
  ),
  consented: Texts.optional().describe(
    'Texts of other clients who agreed to reporting; nothing is chosen by them',
  ),
  public: z
    .strictObject({ path, text: z.string().default('text') })
    .optional()
    .describe('Public texts for the initial population'),
  minWords: positive.default(3).describe('Shorter texts are left out'),
  maxWords: positive.default(200).describe('Longer texts are clipped'),
})

const Privacy = z
  .strictObject({
    unit: z.enum(['client', 'record']).describe('What is protected: all texts of a client, or one text'),
    adjacency: z
      .enum(['add-remove', 'substitution'])
      .default('add-remove')
      .describe('Which data sets are neighbours'),
    epsilon: z
      .custom<number>((value) => typeof value === 'number' && value > 0, {
        error: (issue) => `expected a number greater than 0, got ${String(issue.input)}`,
      })
      .meta({ type: 'number', exclusiveMinimum: 0 })
      .optional()
      .describe('Spend of the whole run; the noise follows from it. ".inf" only with data.simulation'),
    noiseMultiplier: z.number().positive().optional().describe('Instead of epsilon: sigma / L2 sensitivity'),
    delta: z
      .custom<number>((value) => typeof value === 'number' && value > 0 && value < 1, {
        error: (issue) => `expected a number strictly between 0 and 1, got ${String(issue.input)}`,
      })
      .meta({ type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 })
      .describe('Well below 1 / (number of clients)'),
    minimumClients: positive.default(10).describe('With fewer clients nothing is released'),
    budget: z
      .strictObject({ epsilon: z.number().positive(), delta: z.number().positive().lt(1) })
      .optional()
      .describe('The most that the data set may spend over all runs; a release beyond it is refused'),
    embeddingCache: path
      .optional()
      .describe(
        'File that keeps private embeddings between runs (mode 0600, outside output.folder); by default they live in memory only',
      ),
    ledger: path
      .optional()
      .describe('Ledger of the data set; by default ledgers/<dataset>.jsonl in output.folder'),
  })
  .describe('The guarantee')

const Embeddings = z.strictObject({
  model: z.string().default('all-MiniLM-L6-v2').describe('A built-in name, "hashing", a folder, or a Hub id'),
  dtype: z.string().optional().describe('fp32, fp16, int8, ... as the model has it'),
  device: z.enum(['auto', 'cpu', 'webgpu', 'cuda']).default('auto'),
  maxTokens: positive.default(128).describe('Longer texts are cut for the embedding'),
})

const Histogram = z.strictObject({
  vote: z.enum(['normalised', 'multihot', 'counts']).default('normalised').describe('How a vote is bounded'),
  maxTextsPerClient: positive.default(8).describe('A client votes with at most so many of its texts'),
  neighbours: positive.default(1).describe('Nearest candidates that each text votes for'),
  maxCandidates: positive
    .optional()
    .describe('multihot: most candidates a client votes for (L2 <= its root)'),
  clip: z.number().positive().optional().describe('counts: L2 clip in votes'),
  distance: z.enum(['l2', 'cosine']).default('l2'),
  backend: z
    .enum(['auto', 'exact', 'hnsw'])
    .default('auto')
    .describe(
      'How nearest candidates are found; auto is exact, which was faster wherever both were measured',
    ),
})

const Initial = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('public') }),
  z.strictObject({
    from: z.literal('zero-shot'),
    hint: z
      .string()
      .default('a short text')
      .describe('What the texts are: prior knowledge, named in the report'),
    topics: z.array(z.string()).optional().describe('Subjects, one in each prompt; general ones by default'),
  }),
])

const Labels = z.strictObject({
  values: z.array(z.string()).min(1).describe('The public list of labels'),
  shares: z
    .union([z.enum(['uniform', 'measured']), z.record(z.string(), share)])
    .default('uniform')
    .describe('Uniform, measured under DP (one more release), or given as public knowledge'),
})

const Sampling = {
  temperature: z.number().min(0).max(5).default(1),
  topP: z.number().gt(0).max(1).default(0.95),
  minP: z.number().min(0).lt(1).default(0).describe('Cut-offs feed back through the rounds; keep it <= 0.01'),
}

const OPERATORS = ['few-shot', 'rewrite', 'fill-in-blanks', 'continue-prefix', 'mask-fill'] as const

const Evolution = z.strictObject({
  rounds: positive.default(8),
  population: schedule.default(1024).describe('Candidates in a round; a list gives a size for each round'),
  initial: Initial.default({ from: 'public' }),
  labels: Labels.optional().describe('Label-conditional: texts vote among the candidates of their own label'),
  lookahead: z
    .strictObject({
      variations: z.int().nonnegative().default(0).describe('K: 0 embeds the candidate itself'),
      includeSelf: z.boolean().default(false),
    })
    .default({ variations: 0, includeSelf: false })
    .describe('A candidate stands where the mean of K variations of it stands'),
  variation: z
    .strictObject({
      operators: z.array(z.enum(OPERATORS)).min(1).default(['few-shot']),
      prompts: path.optional().describe('Folder of prompt files instead of the shipped ones'),
      steps: positive.default(1).describe('Operators applied one after the other in a round'),
      attempts: z.int().nonnegative().default(2).describe('Tries again before the parent is kept'),
      degree: z
        .union([share, z.array(share).min(1)])
        .default(0.3)
        .describe('Share that changes; a list is a schedule'),
      maxTokens: positive.default(72),
      minWords: positive.default(8),
      maxWords: positive.default(60),
      ...Sampling,
      maskedModel: z.string().default('roberta-large').describe('mask-fill: a folder or a Hub id'),
    })
    .prefault({}),
  survivors: z
    .strictObject({
      by: z.enum(['resample', 'rank']).default('resample'),
      threshold: z
        .strictObject({
          sigma: z
            .number()
            .nonnegative()
            .optional()
            .describe('Votes above so many standard deviations of the noise'),
          topShare: z
            .number()
            .gt(0)
            .max(1)
            .optional()
            .describe('The best share of the candidates, rounded up: of 64 a sixteenth are 4'),
        })
        .refine(({ sigma, topShare }) => sigma !== undefined || topShare !== undefined, {
          message: 'expected "sigma", "topShare" or both',
        })
        .default({ topShare: 0.0625, sigma: 3 })
        .describe('Who survives a round; where both are given, both must hold'),
      keepParents: share.default(0.5),
    })
    .prefault({}),
})

const Llm = z.strictObject({
  provider: z.enum(['llama', 'openai', 'huggingface', 'scripted']).default('llama'),
  model: z.string().default('SmolLM2-135M-Instruct-Q8_0'),
  baseUrl: z
    .string()
    .optional()
    .describe('An OpenAI-compatible endpoint: vLLM, SGLang, llama.cpp server, a cloud'),
  apiKeyEnv: z.string().optional().describe('Name of the environment variable that holds the key'),
  api: z.enum(['chat', 'completions']).optional(),
  concurrency: positive
    .optional()
    .describe('Requests at once; without it a remote server gets as many as it answers fastest'),
  batch: z
    .boolean()
    .optional()
    .describe(
      'provider openai: requests go through the Batch API, at half the price and within a day each time',
    ),
  requestsPerMinute: positive.optional(),
  tokensPerMinute: positive.optional(),
  timeoutSeconds: z.number().positive().optional(),
  patienceMinutes: z.number().positive().default(10).describe('How long errors are retried'),
  contextTokens: positive
    .optional()
    .describe(
      'Of the embedded model: prompt and text together, 1024 unless told; 16 at once take 24 MB each',
    ),
  threads: positive.optional().describe('Of the embedded model on a CPU; by default all cores'),
  gpu: z.union([z.literal('auto'), z.literal(false)]).optional(),
  maxTokensField: z.enum(['max_tokens', 'max_completion_tokens']).optional(),
  extraBody: z.record(z.string(), z.unknown()).optional(),
  price: z
    .strictObject({ input: z.number().nonnegative(), output: z.number().nonnegative() })
    .optional()
    .describe('US dollars per million tokens, instead of the built-in table'),
})

const Generate = z.strictObject({
  texts: positive.default(1000).describe('Size of the corpus'),
  examples: positive.default(3).describe('Survivors in each prompt'),
  perPrompt: positive
    .default(1)
    .describe('Texts asked from each prompt; more save prompt tokens and cost variety'),
  maxTokens: positive.default(85),
  minWords: positive.default(8),
  maxWords: positive.default(60),
  ...Sampling,
  maxTries: z.number().min(1).default(4).describe('Gives up after this many prompts per wanted text'),
  language: z.string().default('en').describe('For the dataset card'),
  licence: z.string().default('other').describe("For the dataset card: an SPDX id or the Hub's name of one"),
})

const identity = z.string().regex(/^ptx1_[\w-]{91}$/, 'expected an identity (ptx1_ and 91 characters)')
const tls = z
  .strictObject({ certificate: path, key: path })
  .optional()
  .describe('Files in PEM; without them put a proxy with TLS in front')

const Helper = z
  .strictObject({
    url: z.string().optional().describe('Address at which the coordinator reaches the helper'),
    identity: identity
      .optional()
      .describe('As "pretext helper CONFIG --identity" prints it; needed by the coordinator'),
    host: z.string().default('127.0.0.1').describe('Address to listen on; 0.0.0.0 for all'),
    port: z.int().min(0).max(65_535).default(8788).describe('0 takes a free one'),
    tls,
    folder: path
      .optional()
      .describe(
        'Keys, database, ledger and releases of the helper; by default helper/<name> in output.folder',
      ),
  })
  .describe('two-server: the second operator')

const Federation = z
  .strictObject({
    mode: z
      .enum(['trusted', 'two-server'])
      .default('trusted')
      .describe(
        'trusted: the coordinator sees each vote; two-server: nobody does, and a second operator takes part',
      ),
    helper: Helper.optional(),
    leader: z
      .strictObject({
        identity: identity.describe('As "pretext serve CONFIG --identity" prints it; needed by the helper'),
      })
      .optional()
      .describe('two-server: the operator of the coordinator'),
    identity: path
      .optional()
      .describe(
        'two-server: file of the coordinator’s keys; by default federation/<name>.keys.json in output.folder',
      ),
    multiproof: z
      .boolean()
      .default(false)
      .describe('two-server: three proofs over Field64 in place of one over Field128; 0.6 of the bytes'),
    noise: z
      .enum(['full', 'half'])
      .default('full')
      .describe(
        'two-server: full: each server adds all of the noise, so that epsilon holds against either; half: each adds half of its variance, where both are trusted not to look',
      ),
    verifiers: z
      .int()
      .min(0)
      .max(64)
      .optional()
      .describe('two-server: threads that check proofs; by default as many as there are cores, 4 at most'),
    host: z.string().default('127.0.0.1').describe('Address to listen on; 0.0.0.0 for all'),
    port: z.int().min(0).max(65_535).default(8787).describe('0 takes a free one'),
    tls,
    store: path
      .optional()
      .describe('File of the embedded database; by default federation/<name>.db in output.folder'),
    postgresUrlEnv: z
      .string()
      .optional()
      .describe('Instead of the embedded database: environment variable with the address of PostgreSQL'),
    operatorTokenEnv: z
      .string()
      .default('PRETEXT_OPERATOR_TOKEN')
      .describe('Environment variable with the token that may pause, resume and drain'),
    target: positive
      .optional()
      .describe('A round closes when so many have voted; without it, at the deadline'),
    overSelection: z
      .number()
      .min(1)
      .max(10)
      .default(1.3)
      .describe('So many times the target get a seat, since some drop out'),
    roundMinutes: z.number().positive().default(60).describe('A round is open so long at most'),
    attempts: positive
      .default(3)
      .describe('Times that a round with fewer clients than privacy.minimumClients is opened'),
    candidates: z.enum(['int8', 'float16']).default('int8').describe('How candidate embeddings travel'),
    pollSeconds: positive.default(30).describe('Clients look again after so long'),
    publicCohort: z
      .boolean()
      .default(false)
      .describe('The owner declares the number of clients public: pages and metrics then show it'),
  })
  .describe('Real clients instead of simulated ones: "pretext serve" and "pretext join"')

export const ConfigSchema = z
  .strictObject({
    $schema: z.string().optional(),
    name: z
      .string()
      .regex(/^[\w.-]+$/, 'expected letters, digits, ".", "_" or "-"')
      .describe('Name of the run'),
    seed: z
      .int()
      .nonnegative()
      .default(0)
      .describe("Seeds everything but privacy noise and clients' choices"),
    data: Data,
    privacy: Privacy,
    embeddings: Embeddings.prefault({}),
    histogram: Histogram.prefault({}),
    evolution: Evolution.prefault({}),
    llm: Llm.prefault({}),
    generate: Generate.prefault({}),
    federation: Federation.optional(),
    output: z.strictObject({ folder: path.default('runs') }).prefault({}),
  })
  .superRefine((config, context) => {
    const fail = (at: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path: at, message })
    const { privacy, data, evolution, histogram, federation } = config
    if ((privacy.epsilon === undefined) === (privacy.noiseMultiplier === undefined)) {
      fail(['privacy'], 'expected either epsilon or noiseMultiplier (there is no default)')
    }
    if (privacy.epsilon === Number.POSITIVE_INFINITY && !data.simulation) {
      fail(['privacy', 'epsilon'], 'epsilon = infinity releases exact votes: only with data.simulation: true')
    }
    if (federation === undefined && data.private === undefined) {
      fail(['data'], 'expected data.private: where the private texts are (only a federation has none here)')
    }
    if (federation !== undefined) {
      const refuse = (at: (string | number)[], wrong: boolean, message: string) => {
        if (wrong) fail(at, message)
      }
      refuse(
        ['data', 'private'],
        data.private !== undefined,
        'with federation the private texts stay with the clients: leave data.private out',
      )
      refuse(
        ['privacy', 'unit'],
        privacy.unit !== 'client',
        'a federation protects clients: set unit: client',
      )
      refuse(
        ['privacy', 'epsilon'],
        privacy.epsilon === Number.POSITIVE_INFINITY,
        'real clients are never asked for votes without noise: set a finite epsilon',
      )
      refuse(
        ['evolution', 'labels', 'shares'],
        evolution.labels?.shares === 'measured',
        'a federation does not measure label shares: give them, or set uniform',
      )
      refuse(
        ['histogram', 'vote'],
        federation.mode === 'two-server' && histogram.vote !== 'multihot',
        `two servers prove multihot votes: set vote: multihot, got vote: ${histogram.vote}`,
      )
      refuse(
        ['federation', 'target'],
        federation.target !== undefined && federation.target < privacy.minimumClients,
        `expected a target of at least privacy.minimumClients (${privacy.minimumClients})`,
      )
    }
    if (privacy.unit === 'client' && data.private !== undefined && data.private.client === undefined) {
      fail(
        ['data', 'private'],
        'unit "client" needs the client column: set data.private.client, or unit: record',
      )
    }
    if (evolution.initial.from === 'public' && data.public === undefined) {
      fail(
        ['data'],
        'the initial population comes from public texts: set data.public, or evolution.initial.from: zero-shot',
      )
    }
    if (evolution.labels !== undefined && data.private !== undefined && data.private.label === undefined) {
      fail(['data', 'private'], 'evolution.labels needs the label column: set data.private.label')
    }
    if (histogram.clip !== undefined && histogram.vote !== 'counts') {
      fail(['histogram', 'clip'], `clip belongs to vote: counts, got vote: ${histogram.vote}`)
    }
    if (histogram.maxCandidates !== undefined && histogram.vote !== 'multihot') {
      fail(
        ['histogram', 'maxCandidates'],
        `maxCandidates belongs to vote: multihot, got vote: ${histogram.vote}`,
      )
    }
    const { degree, operators, temperature } = evolution.variation
    if (operators.includes('mask-fill') && ([degree].flat().some((d) => d === 0) || temperature === 0)) {
      fail(['evolution', 'variation'], 'mask-fill needs degree and temperature above 0')
    }
    const labels = evolution.labels?.values.length ?? 1
    if ([evolution.population].flat().some((size) => size < labels)) {
      fail(['evolution'], `expected a population of at least one candidate for each of the ${labels} labels`)
    }
    const shares = evolution.labels?.shares
    if (typeof shares === 'object') {
      const missing = evolution.labels?.values.filter((value) => !(value in shares)) ?? []
      if (missing.length > 0) {
        fail(['evolution', 'labels', 'shares'], `no share is given for ${missing.join(', ')}`)
      } else if (!Object.values(shares).some((value) => value > 0)) {
        fail(['evolution', 'labels', 'shares'], 'expected at least one share above 0')
      }
    }
  })

export type Config = z.output<typeof ConfigSchema>
