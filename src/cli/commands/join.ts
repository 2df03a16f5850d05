// pretext join: a client of a federation. Its texts stay on this machine; what leaves is said before it leaves.
import { homedir } from 'node:os'
import { join } from 'node:path'
import { PretextError } from '../../errors.ts'
import type { ClientEvent } from '../../federation/client/client.ts'
import { exactDuration } from '../../report/figures.ts'
import { defineCommand, interruptible, outputOf } from '../context.ts'
import { shown } from '../output/output.ts'
import { number } from '../output/progress.ts'

export const joinCommand = defineCommand({
  command: 'join',
  describe: 'Take part in a federation with your own texts, which stay on this machine',
  builder: (yargs) =>
    yargs
      .option('server', {
        type: 'string',
        demandOption: true,
        requiresArg: true,
        describe: 'Address of the coordinator',
      })
      .option('texts', {
        type: 'string',
        demandOption: true,
        requiresArg: true,
        describe: 'File with your texts: .jsonl, .csv, .tsv, .parquet, .json',
      })
      .option('column', {
        type: 'string',
        default: 'text',
        requiresArg: true,
        describe: 'Column with the text',
      })
      .option('label', {
        type: 'string',
        requiresArg: true,
        describe: 'Column with the label, where the task has labels',
      })
      .option('token', {
        type: 'string',
        requiresArg: true,
        describe: 'One-time enrolment token (or PRETEXT_TOKEN); only for the first time',
      })
      .option('epsilon', {
        type: 'number',
        demandOption: true,
        requiresArg: true,
        describe: 'Most that your texts may ever spend; rounds beyond it are refused',
      })
      .option('delta', {
        type: 'number',
        demandOption: true,
        requiresArg: true,
        describe: 'The delta of that epsilon',
      })
      .option('minimum-cohort', {
        type: 'number',
        default: 10,
        requiresArg: true,
        describe: 'Refuse rounds that would be released with fewer clients',
      })
      .option('adjacency', {
        choices: ['add-remove', 'substitution'] as const,
        default: 'add-remove' as const,
      })
      .option('aggregation', {
        choices: ['trusted', 'two-server'] as const,
        array: true,
        nargs: 1,
        default: ['trusted' as const, 'two-server' as const],
        describe:
          'What you agree to; with two-server alone, rounds in which somebody sees your vote are refused',
      })
      .option('helper', {
        type: 'string',
        requiresArg: true,
        describe:
          'Identity of the second server, as its operator publishes it; by default that of your first round is kept to',
      })
      .option('model', {
        type: 'string',
        default: 'all-MiniLM-L6-v2',
        requiresArg: true,
        describe: 'Embedder, as in a config',
      })
      .option('dtype', {
        type: 'string',
        requiresArg: true,
        describe: 'fp32, fp16, int8, ... as the coordinator has it',
      })
      .option('max-tokens', {
        type: 'number',
        requiresArg: true,
        describe: 'Longer texts are cut for the embedding',
      })
      .option('state', {
        type: 'string',
        requiresArg: true,
        describe: 'Folder of your identity and your ledger (default: ~/.local/share/pretext/client)',
      })
      .option('rounds', { type: 'number', requiresArg: true, describe: 'End after so many votes' })
      .option('patience-minutes', {
        type: 'number',
        default: 10,
        requiresArg: true,
        describe: 'How long to try while the coordinator does not answer',
      })
      .example(
        '$0 join --server https://votes.example.org --texts mine.jsonl --token TOKEN --epsilon 4 --delta 1e-6',
        'Enrol and take part until the last round',
      )
      .example(
        '$0 join --server https://votes.example.org --texts mine.jsonl --aggregation two-server --helper IDENTITY --epsilon 4 --delta 1e-6',
        'Only where nobody sees a vote, with a helper that you know',
      ),
  async handler(args) {
    const { checkDelta, checkEpsilon } = await import('../../privacy/units.ts')
    checkEpsilon(args.epsilon)
    checkDelta(args.delta)
    checkAddress(args.server)
    const output = outputOf(args)
    const { openStateFolder } = await import('../../federation/client/state-folder.ts')
    const { createEmbedder } = await import('../../embeddings/create.ts')
    const { createFederatedClient } = await import('../../federation/client/client.ts')
    const { parseIdentity } = await import('../../federation/protocol/aggregator.ts')
    const { readOwnTexts } = await import('../../federation/client/read-own-texts.ts')
    const policy = {
      epsilon: args.epsilon,
      delta: args.delta,
      adjacency: args.adjacency,
      minimumCohort: args['minimum-cohort'],
      aggregation: args.aggregation,
      ...(args.helper === undefined ? {} : { helper: parseIdentity(args.helper).text }),
    }
    await interruptible(output, async (signal) => {
      const state = await openStateFolder(args.state ?? defaultState(), policy)
      try {
        const embedder = await createEmbedder(
          {
            model: args.model,
            device: 'auto',
            ...(args.dtype === undefined ? {} : { dtype: args.dtype as never }),
            ...(args['max-tokens'] === undefined ? {} : { maxTokens: args['max-tokens'] }),
          },
          { onEvent: output.onEvent, signal },
        )
        try {
          const client = createFederatedClient({
            server: args.server,
            policy,
            embedder,
            storage: state.storage,
            ledger: state.ledger,
            patienceMs: args['patience-minutes'] * 60_000,
            onRetry: (why, seconds) => output.info(`no answer (${why}); again in ${Math.ceil(seconds)} s`),
            signal,
          })
          const task = await client.task()
          output.info(
            `task ${task.name}: ${task.aggregation.mode} aggregation, which means that ${task.whoSeesAVote}`,
          )
          const own = await readOwnTexts({
            path: args.texts,
            text: args.column,
            ...(task.labels === null ? {} : { label: labelColumn(args.label, task.labels) }),
          })
          await enrol(client, args.token ?? process.env.PRETEXT_TOKEN)
          let votes = 0
          let waiting = false
          let epsilon = 0
          let helper: string | undefined
          for await (const event of client.participate(
            own,
            args.rounds === undefined ? {} : { rounds: args.rounds },
          )) {
            const line = lineFor(event, args.delta)
            if (event.type === 'round' && event.manifest.aggregation.mode === 'two-server') {
              // Whoever can name the second server can be both: it is shown whole, to be compared.
              const { helper: second } = event.manifest.aggregation
              if (second !== helper)
                output.info(
                  `second server ${second}: ${args.helper === undefined ? 'compare it with what its operator publishes; --helper holds the coordinator to it' : 'the one that you named'}`,
                )
              helper = second
            }
            if (line !== undefined) output.info(line)
            if (event.type === 'waiting' && !waiting)
              output.info('waiting for the next round; stop with Ctrl-C, nothing is lost')
            waiting = event.type === 'waiting'
            if (event.type === 'voted') votes++
            if (event.type === 'voted' || event.type === 'finished') epsilon = event.epsilon
            if (event.type === 'refused') throw refusedByPolicy(event)
          }
          output.result(
            `${votes} ${votes === 1 ? 'vote' : 'votes'} counted; your texts have spent epsilon ${number(epsilon)} at delta ${args.delta}, by ${shown(state.ledgerFile)}`,
            { votes, epsilon, delta: args.delta, ledger: state.ledgerFile },
          )
        } finally {
          await embedder.dispose()
        }
      } catch (error) {
        if (signal.aborted) {
          throw new PretextError('stopped; nothing is lost', {
            code: 'interrupted',
            hint: 'join again with the same --state: a vote that was begun goes on as it is',
          })
        }
        throw error
      } finally {
        await state.release()
      }
    })
  },
})

function defaultState(): string {
  const data = process.env.XDG_DATA_HOME
  return join(data?.startsWith('/') ? data : join(homedir(), '.local', 'share'), 'pretext', 'client')
}

function labelColumn(column: string | undefined, names: readonly string[]) {
  if (column !== undefined) return { column, names }
  throw new PretextError(
    `the task has labels (${names.slice(0, 5).join(', ')}), and no column with them was named`,
    {
      code: 'usage',
      hint: 'name the column with --label',
    },
  )
}

async function enrol(
  client: { enrolled(): Promise<boolean>; enrol(token: string): Promise<void> },
  token: string | undefined,
): Promise<void> {
  if (await client.enrolled()) return
  if (token === undefined) {
    throw new PretextError('this client is not enrolled in the task yet, and no token was given', {
      code: 'usage',
      hint: 'ask the operator for a one-time token, and give it with --token or PRETEXT_TOKEN',
    })
  }
  await client.enrol(token)
}

function lineFor(event: ClientEvent, delta: number): string | undefined {
  switch (event.type) {
    case 'round': {
      const { round, rounds, cohort, candidates } = event.manifest
      return `round ${round}/${rounds}: what leaves is which of the ${candidates.count} candidates are nearest to your texts, and nothing of the texts; released with noise and only with ${cohort.minimum} clients or more; your spend goes from epsilon ${number(event.spend.before)} to ${number(event.spend.after)} at delta ${delta}`
    }
    case 'voted':
      return `round ${event.manifest.round}/${event.manifest.rounds}: voted, ${event.bytes} bytes left; spent so far epsilon ${number(event.epsilon)}`
    case 'missed':
      return `round ${event.manifest.round}/${event.manifest.rounds}: not counted: ${event.problem.title}`
    case 'waiting':
      return event.state === 'paused'
        ? `paused by the operator; looking again in ${exactDuration(event.seconds)}`
        : undefined
    default:
      return undefined
  }
}

function refusedByPolicy({ manifest, reasons }: Extract<ClientEvent, { type: 'refused' }>): PretextError {
  return new PretextError(`round ${manifest.round} was refused by your own policy: ${reasons.join('; ')}`, {
    code: 'policy',
    hint: 'nothing of this round left the machine; allow more with --epsilon, --minimum-cohort, --model ..., or stay out',
  })
}

/** Votes go to whoever reads the line: without TLS only on this machine. */
function checkAddress(server: string): void {
  let url: URL
  try {
    url = new URL(server)
  } catch (cause) {
    throw new PretextError(`--server: expected an address like https://votes.example.org, got ${server}`, {
      code: 'usage',
      cause,
    })
  }
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  if (
    url.protocol === 'https:' ||
    (url.protocol === 'http:' && (local || process.env.PRETEXT_ALLOW_HTTP === '1'))
  )
    return
  throw new PretextError(`--server: expected an https address, got ${url.protocol}//${url.host}`, {
    code: 'usage',
    hint: 'votes would be readable on the way; PRETEXT_ALLOW_HTTP=1 allows it in a network of your own',
  })
}
