// pretext serve CONFIG: the coordinator of a federation. Real clients vote; the rounds and the corpus are those of generate.
import type { LoadedConfig } from '../../config/load.ts'
import { PretextError } from '../../errors.ts'
import { defineCommand, interruptible, outputOf, overrides } from '../context.ts'
import { shown } from '../output/output.ts'
import { number } from '../output/progress.ts'
import { graceMinutes, ownKeys } from './own-keys.ts'

export const serveCommand = defineCommand({
  command: 'serve <config>',
  describe: 'Coordinate a federation: clients elsewhere vote with texts that stay with them',
  builder: (yargs) =>
    yargs
      .positional('config', {
        type: 'string',
        demandOption: true,
        describe: 'Config with a federation section',
      })
      .option('set', overrides('Override a key: --set federation.roundMinutes=10'))
      .option('out', { type: 'string', requiresArg: true, describe: 'Folder of the run' })
      .option('port', {
        type: 'number',
        requiresArg: true,
        describe: 'Instead of federation.port; 0 takes a free one',
      })
      .option('mint', {
        type: 'number',
        requiresArg: true,
        describe: 'Print so many one-time tokens for new clients, and end',
      })
      .option('control', {
        choices: ['pause', 'resume', 'drain', 'show'] as const,
        describe: 'Tell a running coordinator what to do (drain: the open round is the last), and end',
      })
      .option('identity', {
        type: 'boolean',
        default: false,
        describe: 'Print who this coordinator is to the operator of the helper (two-server), and end',
      })
      .option('rotate-keys', {
        type: 'boolean',
        default: false,
        describe: 'Seal votes to a new key from now on (two-server), and end',
      })
      .option('grace-minutes', graceMinutes)
      .option('replica', {
        type: 'boolean',
        default: false,
        describe: 'Answer clients only; another process on the same PostgreSQL runs the rounds',
      })
      .example('$0 serve configs/federated.yaml --mint 20 > tokens.txt', 'Tokens for 20 clients')
      .example('$0 serve configs/federated.yaml', 'Run the rounds; goes on where it stopped')
      .example('$0 serve configs/federated.yaml --control drain', 'End after the open round')
      .example('$0 serve configs/two-server.yaml --identity', 'For the operator of the helper'),
  async handler(args) {
    const { loadConfig } = await import('../../config/load.ts')
    const { federationOf, openCoordinator } = await import('../../run/coordinator.ts')
    const { planNoise } = await import('../../run/noise.ts')
    const loaded = await loadConfig(args.config, args.set === undefined ? {} : { set: args.set })
    const federation = federationOf(loaded)
    const output = outputOf(args)
    if (args.mint !== undefined) return mint(loaded, args.mint, output.result)
    if (args.control !== undefined) return control(loaded, args.control, output.result)
    if (args.identity || args['rotate-keys']) {
      const { coordinatorKeyFile } = await import('../../run/two-server.ts')
      return ownKeys(coordinatorKeyFile(loaded), args, output.result)
    }
    await interruptible(output, async (signal) => {
      const open = await openCoordinator(loaded, {
        signal,
        onEvent: output.onEvent,
        replica: args.replica,
        ...(args.port === undefined ? {} : { port: args.port }),
      })
      try {
        const { aggregation, privacy } = open.coordinator
        output.info(
          `clients join at ${open.url}; people by the page ${open.url}/join; status at ${open.url}/status`,
        )
        output.info(`${aggregation.terms.mode} aggregation: ${aggregation.whoSeesAVote}`)
        if (aggregation.terms.mode === 'two-server') {
          output.info(
            aggregation.terms.noise === 'full'
              ? `each of the two servers adds noise for epsilon ${number(privacy.epsilon)}: it holds against either of them, and everybody else sees the noise of both`
              : `the two servers together add noise for epsilon ${number(privacy.epsilon)}; against either of them, which knows its own half, it is ${number(planNoise(loaded.config).epsilonOfOne('half'))}: both must be trusted not to look`,
          )
        }
        if (federation.tls === undefined && !['127.0.0.1', '::1', 'localhost'].includes(federation.host))
          output.info('warning: no TLS here; put a proxy with TLS in front, or set federation.tls')
        if (!args.replica) {
          const { generate } = await import('../../run/generate.ts')
          const result = await generate(loaded, {
            ...(await continued(loaded, args.out)),
            coordinator: open,
            onEvent: output.onEvent,
            signal,
            command: `pretext serve ${shown(args.config)}`,
          })
          const { epsilon, delta } = result.report.privacy
          output.result(
            `corpus ${shown(result.corpus)}\nspent epsilon ${number(epsilon)} at delta ${delta} (${privacy.unit}, ${privacy.adjacency})`,
            { folder: result.folder, corpus: result.corpus, privacy: result.report.privacy },
          )
          output.info('all rounds are over; clients are told so until Ctrl-C')
        }
        await open.coordinator.clock.sleep(2 ** 31 - 1, signal).catch(() => {})
      } finally {
        await open.close()
      }
    })
  },
})

/** Goes on with an unfinished run, so that a restart needs no other command. */
async function continued(loaded: LoadedConfig, out: string | undefined) {
  const { listRuns, readManifest } = await import('../../run/folder.ts')
  if (out !== undefined) return { out, resume: (await readManifest(out)) !== undefined }
  const { name, output } = loaded.config
  const runs = await listRuns(loaded.path(output.folder))
  return { resume: runs.some(({ manifest }) => manifest.name === name && manifest.status !== 'finished') }
}

type Result = (text: string, object: Record<string, unknown>) => void

async function mint(loaded: LoadedConfig, count: number, result: Result): Promise<void> {
  if (!(Number.isInteger(count) && count >= 1 && count <= 1_000_000)) {
    throw new PretextError(`--mint: expected a number of tokens from 1 to 1,000,000, got ${count}`, {
      code: 'usage',
    })
  }
  const { openStore } = await import('../../run/coordinator.ts')
  const { mintTokens } = await import('../../federation/coordinator/operator.ts')
  const store = await openStore(loaded)
  try {
    const tokens = await mintTokens(store, count, Date.now())
    result(tokens.join('\n'), { tokens })
  } finally {
    await store.close()
  }
}

async function control(
  loaded: LoadedConfig,
  action: 'pause' | 'resume' | 'drain' | 'show',
  result: Result,
): Promise<void> {
  const { openStore } = await import('../../run/coordinator.ts')
  const store = await openStore(loaded)
  try {
    const states = { pause: 'paused', resume: 'running', drain: 'draining' } as const
    if (action !== 'show') await store.setControl(states[action])
    const state = await store.control()
    result(state, { control: state })
  } finally {
    await store.close()
  }
}
