// pretext helper CONFIG: the second server of a two-server federation. It sees one share of each vote and no vote.
import { defineCommand, interruptible, outputOf, overrides } from '../context.ts'
import { shown } from '../output/output.ts'
import { number } from '../output/progress.ts'
import { graceMinutes, ownKeys } from './own-keys.ts'

export const helperCommand = defineCommand({
  command: 'helper <config>',
  describe: 'Be the second operator of a federation, so that nobody sees a single vote',
  builder: (yargs) =>
    yargs
      .positional('config', {
        type: 'string',
        demandOption: true,
        describe: 'Your own copy of the config, with federation.mode two-server',
      })
      .option('set', overrides('Override a key: --set federation.helper.port=9000'))
      .option('port', {
        type: 'number',
        requiresArg: true,
        describe: 'Instead of federation.helper.port; 0 takes a free one',
      })
      .option('identity', {
        type: 'boolean',
        default: false,
        describe: 'Print who this helper is, to coordinator and clients, and end',
      })
      .option('rotate-keys', {
        type: 'boolean',
        default: false,
        describe: 'Seal votes to a new key from now on, and end; a running helper goes on with it',
      })
      .option('grace-minutes', graceMinutes)
      .example('$0 helper configs/two-server.yaml --identity', 'For the operator of the coordinator')
      .example('$0 helper configs/two-server.yaml', 'Verify, add up and add noise until Ctrl-C')
      .example('$0 helper configs/two-server.yaml --rotate-keys', 'A new key; no vote is lost'),
  async handler(args) {
    const { loadConfig } = await import('../../config/load.ts')
    const { helperBudget, helperKeyFile, openHelper } = await import('../../run/helper.ts')
    const { systemClock } = await import('../../federation/clock.ts')
    const loaded = await loadConfig(args.config, args.set === undefined ? {} : { set: args.set })
    const output = outputOf(args)
    if (args.identity || args['rotate-keys']) return ownKeys(helperKeyFile(loaded), args, output.result)
    await interruptible(output, async (signal) => {
      const open = await openHelper(loaded, {
        onEvent: output.onEvent,
        ...(args.port === undefined ? {} : { port: args.port }),
      })
      try {
        const { helper, tls } = { tls: loaded.config.federation?.helper?.tls, ...loaded.config.federation }
        output.info(`the coordinator reaches this helper at ${open.url}`)
        const { epsilon, delta } = helperBudget(loaded)
        output.info(
          `its ledger pays for epsilon ${number(epsilon)} at delta ${delta} in all, against the coordinator`,
        )
        output.info(
          `identity ${open.identity.text}: clients may demand it with "pretext join --helper IDENTITY"`,
        )
        if (tls === undefined && !['127.0.0.1', '::1', 'localhost'].includes(helper?.host ?? '127.0.0.1'))
          output.info('warning: no TLS here; put a proxy with TLS in front, or set federation.helper.tls')
        await systemClock.sleep(2 ** 31 - 1, signal).catch(() => {})
        output.result(`the helper of ${shown(args.config)} has ended`, { identity: open.identity.text })
      } finally {
        await open.close()
      }
    })
  },
})
