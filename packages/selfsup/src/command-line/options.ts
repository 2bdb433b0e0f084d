import { Option, type Command } from 'commander';
import { SslError } from '@selfsup/core';

function number(name: string, { min = -Infinity, integer = false }: { min?: number; integer?: boolean } = {}) {
  return (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || value < min || (integer && !Number.isInteger(value))) {
      throw new SslError('BAD_OPTION', {
        where: `selfsup.${name}`,
        expected: `${integer ? 'a whole number' : 'a number'}${min === -Infinity ? '' : ` of at least ${min}`}`,
        got: `"${text}"`,
        fix: `write for example --${name} ${Math.max(min, 1)}`,
        details: { option: name, value: text },
      });
    }
    return value;
  };
}

/** Parser of an option that is a number. */
export const real = (name: string, min?: number): ((text: string) => number) =>
  number(name, min === undefined ? {} : { min });

/** Parser of an option that is a whole number. */
export const whole = (name: string, min = 1): ((text: string) => number) => number(name, { min, integer: true });

/** Parser of an option that may be repeated. */
export const collect = (text: string, before: string[] = []): string[] => [...before, text];

/** Options that must be given, by command; looked at only once there is no unknown one, which may be the same misspelt. */
const NEEDED = new WeakMap<Command, Needed[]>();

interface Needed {
  readonly option: Option;
  readonly description: string;
  /** Another option that makes up for it. */
  readonly unless: string | undefined;
}

/**
 * Adds an option that must be given.
 *
 * @param unless - Name of another option that makes up for it.
 */
export function needed(command: Command, flags: string, description: string, unless?: string): Command {
  const option = new Option(flags, `${description} (needed${unless === undefined ? '' : `, unless --${unless}`})`);
  NEEDED.set(command, [...(NEEDED.get(command) ?? []), { option, description, unless }]);
  return command.addOption(option);
}

/** `eval knn` and the like: the names of a command after `selfsup`. */
export function pathOf(command: Command): string[] {
  return command.parent === null ? [] : [...pathOf(command.parent), command.name()];
}

/** @throws SslError `BAD_OPTION` for a needed option that is not there */
export function checkNeeded(command: Command, options: Readonly<Record<string, unknown>>): void {
  const lacking = (NEEDED.get(command) ?? []).filter(
    ({ option, unless }) =>
      options[option.attributeName()] === undefined && (unless === undefined || options[unless] === undefined),
  );
  if (lacking.length === 0) return;
  const path = pathOf(command);
  const shown = lacking.map(({ option }) => option.flags.replace(/<(.*)>/, (_, name: string) => name.toUpperCase()));
  throw new SslError('BAD_OPTION', {
    where: ['selfsup', ...path].join('.'),
    expected: lacking.map(({ description }, i) => `${shown[i]}: ${description}`).join('; '),
    got: 'none',
    fix: `add ${shown.join(' ')}; selfsup ${path.join(' ')} --help shows examples`,
    details: { missing: lacking.map(({ option }) => option.long) },
  });
}

/** Options of commands that compute. */
export function engineOptions(command: Command): Command {
  return command
    .option(
      '--engine <name>',
      'auto (XLA where a plugin for a GPU works, else onnxruntime), onnxruntime, xla or tfjs',
      'auto',
    )
    .option('--threads <n>', 'threads of the engine; all cores by default', whole('threads'))
    .option('--plugin <path>', 'XLA plugin: its path, or the name of one that "selfsup engine list" shows')
    .option('--devices <n>', 'devices to split the batch over (with --engine xla)', whole('devices'))
    .addOption(
      new Option('--shard <what>', 'split the state over the devices as well (with --engine xla)').choices(['state']),
    )
    .addOption(
      new Option('--precision <p>', 'factors of matrix products: f32, or rounded to bf16 (with --engine xla)').choices([
        'f32',
        'bf16',
      ]),
    )
    .option('--backend <name>', 'tfjs backend, e.g. cpu or wasm (with --engine tfjs)');
}

/**
 * Options of commands that train; those of the engine follow.
 *
 * @param unless - Option that makes up for --data.
 */
export function runOptions(command: Command, unless?: string): Command {
  return engineOptions(
    needed(command, '--data <dir>', 'folder of images, of class folders, or of CIFAR binaries', unless)
      .option('--arch <name>', "vit_tiny, vit_small, vit_base, ...; the preset's by default")
      .option('--steps <n>', "total number of steps; the preset's by default", whole('steps'))
      .option('--batch-size <n>', "images of a step; the preset's by default", whole('batch-size'))
      .option(
        '--groups <n>',
        "groups of images that statistics are taken of, one for each GPU of a paper; by default of the preset's size",
        whole('groups'),
      )
      .option('--accumulate <k>', 'compute a step in this many parts, exactly, to save memory', whole('accumulate'))
      .option('--seed <n>', 'seed of everything random; 0 by default', whole('seed', 0))
      .option('--resume', 'go on from the last checkpoint of --out; without it, of the newest default folder')
      .option('--config <file>', 'JSON file with settings, such as the config.json of a run')
      .option('--set <key=json>', 'one setting, e.g. loss.codingRateEps=0.1; may be repeated', collect)
      .option(
        '--probe-every <n>',
        'steps between measurements of k-NN and linear accuracy on labelled data; 0: never; by default as often as costs less than 3 %',
        whole('probe-every', 0),
      )
      .option(
        '--probe-images <n>',
        'pictures of such a measurement, a third of them held out',
        whole('probe-images', 3),
      )
      .option(
        '--max-bad-fraction <f>',
        'share of unreadable files that is put up with, 0..1; 0.05 by default',
        real('max-bad-fraction'),
      )
      .option(
        '--workers <n>',
        'threads that decode and augment; half the cores, at most 4, by default',
        whole('workers', 0),
      ),
  );
}
