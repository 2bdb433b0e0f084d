import { Command, CommanderError, Option } from 'commander';
import { nearestName, SslError } from '@selfsup/core';
import { ReportedFailure } from './doctor/reported-failure.js';
import { EXIT, exitCodeOf } from './terminal/exit-codes.js';
import { createOutput, errorJson, errorLine, type Output } from './terminal/output.js';

/** A command's work; loaded when it is run. */
type Run<T> = (options: T, output: Output) => Promise<void>;

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

const whole = (name: string, min = 1): ((text: string) => number) => number(name, { min, integer: true });
const collect = (text: string, before: string[] = []): string[] => [...before, text];

function engineOptions(command: Command): Command {
  return command
    .option('--engine <name>', 'auto, onnxruntime, xla or tfjs', 'auto')
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
    .option('--backend <name>', 'tfjs backend, e.g. cpu or wasm (with --engine tfjs)')
    .option('--threads <n>', 'threads of the engine; all cores by default', whole('threads'));
}

/** Options of commands that train. */
function runOptions(command: Command): Command {
  return engineOptions(command)
    .requiredOption('--data <dir>', 'folder of images, of class folders, or of CIFAR binaries')
    .option('--arch <name>', 'vit_tiny, vit_small, vit_base, ...')
    .option('--steps <n>', 'total number of steps', whole('steps'))
    .option('--batch-size <n>', 'images of a step', whole('batch-size'))
    .option('--groups <n>', 'virtual ranks of the published method', whole('groups'))
    .option('--accumulate <k>', 'compute a step in this many parts, exactly', whole('accumulate'))
    .option('--seed <n>', 'seed of everything random', whole('seed', 0))
    .option('--resume', 'go on from the last checkpoint of --out')
    .option('--config <file>', 'JSON file with settings')
    .option('--set <key=json>', 'one setting, e.g. loss.codingRateEps=0.1; may be repeated', collect)
    .option(
      '--probe-every <n>',
      'steps between measurements of k-NN and linear accuracy on labelled data; 0: never; by default as often as costs less than 3 %',
      whole('probe-every', 0),
    )
    .option('--probe-images <n>', 'pictures of such a measurement, a third of them held out', whole('probe-images', 3))
    .option('--max-bad-fraction <f>', 'share of unreadable files that is put up with, 0..1', number('max-bad-fraction'))
    .option('--workers <n>', 'threads that decode and augment', whole('workers', 0));
}

/** Adds an option every command has, and hands the parsed options to its module. */
function action<T>(
  command: Command,
  load: () => Promise<Run<T>>,
  prepare: (options: T, args: string[]) => T = (o) => o,
): void {
  command
    .addOption(new Option('--json', 'print the result as one JSON object on stdout'))
    .action(async (...all: unknown[]) => {
      const args = all.slice(0, -2).flat() as string[];
      const options = all[all.length - 2] as T & { json?: boolean };
      const run = await load();
      await run(prepare(options, args), createOutput(options.json === true));
    });
}

function addReport(program: Command): void {
  const report = engineOptions(
    program.command('report').argument('<run>', 'run directory').description('one HTML page about a run'),
  )
    .option('--out <file>', 'file to write; report.html in the run directory by default')
    .option('--data <dir>', 'pictures to show, instead of the folder the run was trained on')
    .option('--no-pictures', 'curves and settings only');
  action(
    report,
    async () => (await import('./commands/report.js')).report,
    (o, [run]) => ({ ...(o as object), run }) as never,
  );
}

function addRepro(program: Command): void {
  const repro = runOptions(
    program
      .command('repro')
      .argument('<preset>', 'RECIPE/PRESET, e.g. simdino/imagenet-vitb16')
      .description('train a preset, evaluate it, and write a card with the numbers beside the published ones'),
  ).option('--out <dir>', 'run directory; runs/repro-RECIPE-PRESET by default');
  action(
    repro,
    async () => (await import('./commands/repro.js')).repro,
    (o, [preset]) => ({ ...(o as object), preset }) as never,
  );
}

function addShow(program: Command): void {
  const show = program.command('show').description('write PNG pictures of what a network sees and does');
  const kind = (name: string, description: string): Command =>
    show.command(name).description(description).requiredOption('--out <dir>', 'folder for the pictures');
  const withImages = (command: Command): Command => command.argument('<images...>', 'image files');
  const withCheckpoint = (command: Command): Command =>
    engineOptions(command).requiredOption('--checkpoint <path>', 'run directory, checkpoint or .safetensors file');
  const images = <T>(o: T, args: string[]): T => ({ ...o, images: args });

  const neighbours = withCheckpoint(withImages(kind('neighbours', 'pictures of a folder most like the given ones')))
    .requiredOption('--data <dir>', 'pictures to look through')
    .option('--k <n>', 'neighbours of each picture', whole('k'), 8)
    .option('--limit <n>', 'pictures to look through at most, evenly spread', whole('limit'), 5000);
  action(neighbours, async () => (await import('./commands/show.js')).showNeighbours, images);

  const attention = withCheckpoint(
    withImages(kind('attention', 'what the CLS token looks at in the last block, head by head')),
  ).option('--image-size <n>', 'side of the pictures; as in training by default', whole('image-size'));
  action(attention, async () => (await import('./commands/show.js')).showAttention, images);

  const dynamics = kind('dynamics', 'curves of a run')
    .requiredOption('--checkpoint <run>', 'run directory')
    .option('--svg', 'write an SVG instead of a PNG');
  action(dynamics, async () => (await import('./commands/show.js')).showDynamics);

  const augment = withImages(kind('augment', 'the views that training makes of a picture'))
    .option('--checkpoint <path>', 'run whose settings to take')
    .option('--recipe <name>', 'recipe whose presets to take', 'simdino')
    .option('--preset <name>', 'settings to take, without --checkpoint')
    .option('--draws <n>', 'times each picture is drawn', whole('draws'), 3)
    .option('--seed <n>', 'seed of everything random', whole('seed', 0));
  action(augment, async () => (await import('./commands/show.js')).showAugment, images);
}

function addEngine(program: Command): void {
  const engine = program.command('engine').description('plugins of XLA: GPUs, several devices');
  const named = <T>(o: T, [name]: string[]): T => ({ ...o, name });

  const list = engine.command('list').description('plugins installed, with their devices, and those to add');
  action(list, async () => (await import('./commands/engine.js')).engineList);

  const add = engine
    .command('add')
    .argument('<name>', 'cpu, cuda12 or cuda13')
    .description('get a plugin with pip, check it and try it')
    .addOption(
      new Option(
        '--runtime <from>',
        "NVIDIA's runtime libraries: an installed CUDA, or wheels; what is there by default",
      )
        .choices(['auto', 'system', 'wheels'])
        .default('auto'),
    )
    .option('--no-runtime', "leave NVIDIA's runtime libraries out")
    .option('--wheel <file>', 'a wheel got by hand, instead of pip; may be repeated', collect);
  action(add, async () => (await import('./commands/engine.js')).engineAdd, named);

  const remove = engine.command('remove').argument('<name>', 'an installed plugin').description('delete a plugin');
  action(remove, async () => (await import('./commands/engine.js')).engineRemove, named);
}

/** The whole command line as a commander program. */
export function buildProgram(): Command {
  const program = new Command('selfsup')
    .description('Self-supervised vision: train, evaluate and look at vision transformers on your own images.')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined, writeOut: (text) => process.stdout.write(text) })
    .showSuggestionAfterError(true);

  const train = runOptions(
    program
      .command('train')
      .argument('<recipe>', 'simdino, dino, simdinov2, dinov2, or distill (from a frozen --teacher)')
      .description('train a backbone on a folder of images'),
  )
    .option('--preset <name>', 'named settings to start from')
    .option('--out <dir>', 'run directory', 'runs/latest')
    .option('--init <path>', 'weights to start from: run directory, checkpoint directory or .safetensors file')
    .addOption(
      new Option('--init-part <part>', 'what to take of --init').choices(['backbone', 'all']).default('backbone'),
    )
    .option('--teacher <path>', 'frozen teacher of distill: run directory, checkpoint directory or .safetensors file');
  action(
    train,
    async () => (await import('./commands/train.js')).train,
    (o, [recipe]) => ({ ...(o as object), recipe }) as never,
  );

  const evaluate = program.command('eval').description('evaluate a checkpoint');
  const knn = engineOptions(evaluate.command('knn').description('weighted k-NN accuracy of frozen features'))
    .requiredOption('--checkpoint <path>', 'run directory, checkpoint directory or .safetensors file')
    .requiredOption('--data <dir>', 'labelled images')
    .option('--k <list>', 'neighbours, comma separated', '10,20,100,200')
    .option('--temperature <t>', 'temperature of the votes', number('temperature', { min: 1e-6 }), 0.07)
    .option('--batch-size <n>', 'images at once', whole('batch-size'), 64)
    .option('--from <network>', 'teacher or student');
  action(knn, async () => (await import('./commands/eval-knn.js')).evalKnn);

  const bench = program.command('bench').description('measure this machine');
  const step = engineOptions(bench.command('step').description('time whole training steps'))
    .option('--recipe <name>', 'simdino, dino, simdinov2 or dinov2', 'simdino')
    .option('--preset <name>', "settings to measure; the recipe's own by default")
    .option('--arch <name>', 'architecture', 'vit_tiny')
    .option('--batch-size <n>', 'images of a step', whole('batch-size'), 8)
    .option('--steps <n>', 'measured steps', whole('steps'), 5)
    .option('--set <key=json>', 'one setting; may be repeated', collect);
  action(step, async () => (await import('./commands/bench-step.js')).benchStep);

  const compile = bench
    .command('compile')
    .description("compile a recipe's training step for GPUs that need not be here, and tell what it needs there")
    .option('--recipe <name>', 'simdino, dino, simdinov2 or dinov2', 'simdino')
    .option('--preset <name>', "settings to compile; the recipe's own by default")
    .option('--arch <name>', "architecture; the preset's by default")
    .option('--batch-size <n>', 'images of a step on all devices', whole('batch-size'))
    .option('--groups <n>', 'virtual ranks of the published method', whole('groups'))
    .option('--set <key=json>', 'one setting; may be repeated', collect)
    .option('--devices <n>', 'devices to split the batch over', whole('devices'), 1)
    .addOption(new Option('--shard <what>', 'split the state over the devices as well').choices(['state']))
    .addOption(new Option('--precision <p>', 'factors of matrix products').choices(['f32', 'bf16']).default('f32'))
    .addOption(new Option('--target <gpu>', 'kind of device').choices(['h100']).default('h100'))
    .option('--plugin <path>', "NVIDIA's plugin: its path, or cuda12 or cuda13; an installed one by default");
  action(compile, async () => (await import('./commands/bench-compile.js')).benchCompile);

  const demo = engineOptions(
    program.command('demo').description('train on emoji in a few minutes and see the difference'),
  )
    .option('--out <dir>', 'where the pictures and the run go; runs/demo, or the next free number, by default')
    .option('--resume', 'go on from the last checkpoint of --out')
    .option('--steps <n>', 'total number of steps', whole('steps'))
    .option('--seed <n>', 'seed of everything random', whole('seed', 0));
  action(demo, async () => (await import('./commands/demo.js')).demo);

  addRepro(program);
  addReport(program);
  addShow(program);
  addEngine(program);
  const doctor = program
    .command('doctor')
    .description('look at everything a run needs, and say how to mend what is broken')
    .option('--out <dir>', 'folder that runs go to', 'runs')
    .option('--seconds <t>', 'length of the matrix product of each engine', number('seconds', { min: 0.01 }), 2);
  action(doctor, async () => (await import('./commands/doctor.js')).doctor);

  return program;
}

/** Every command and subcommand gets the same quiet error handling. */
function quiet(command: Command): void {
  command.exitOverride().configureOutput({ writeErr: () => undefined });
  command.commands.forEach(quiet);
}

function missingSubcommand(parent: Command): SslError {
  const names = parent.commands.map((c) => c.name());
  return new SslError('BAD_OPTION', {
    where: `selfsup.${parent.name()}`,
    expected: `one of ${names.join(', ')} after ${parent.name()}`,
    got: 'none',
    fix: `write for example selfsup ${parent.name()} ${names[0]} --help`,
  });
}

/** commander's complaints as our errors: one line with a fix. */
function usageError(error: CommanderError, program: Command): SslError {
  const text = error.message
    .replace(/^error: /, '')
    .replace('(outputHelp)', 'a command without its subcommand')
    .replace(/\s+/g, ' ');
  if (/a command without its subcommand/.test(text) || /unknown option/.test(text)) {
    const parent = program.commands.find((c) => c.commands.length > 0 && program.args[0] === c.name());
    if (parent !== undefined && !parent.commands.some((c) => c.name() === program.args[1]))
      return missingSubcommand(parent);
  }
  const suggestion = /\(Did you mean (.*?)\?\)/.exec(text)?.[1];
  const unknown = /unknown command '(.*?)'/.exec(text)?.[1];
  const near =
    unknown === undefined
      ? undefined
      : nearestName(
          unknown,
          program.commands.flatMap((c) => [c, ...c.commands]).map((c) => c.name()),
        );
  const fix = suggestion ?? near;
  return new SslError('BAD_OPTION', {
    where: 'selfsup',
    expected: 'a command line as `selfsup --help` describes it',
    got: text.replace(/\s*\(Did you mean.*\)/, ''),
    fix: fix === undefined ? 'see selfsup --help' : `did you mean "${fix}"`,
  });
}

/**
 * Runs the command line.
 *
 * @param argv - Arguments after the program's name.
 * @returns the exit code: 0 done, 2 wrong use, 1 failed while working, 130 interrupted after saving
 */
export async function main(argv: readonly string[]): Promise<number> {
  const program = buildProgram();
  quiet(program);
  const json = argv.includes('--json');
  try {
    if (argv.length === 0) {
      process.stdout.write(program.helpInformation());
      return EXIT.usage;
    }
    await program.parseAsync([...argv], { from: 'user' });
    return EXIT.done;
  } catch (caught) {
    if (caught instanceof CommanderError && caught.exitCode === 0) return EXIT.done;
    if (caught instanceof ReportedFailure) return caught.exitCode;
    const error = caught instanceof CommanderError ? usageError(caught, program) : caught;
    if (json) process.stdout.write(`${JSON.stringify(errorJson(error))}\n`);
    process.stderr.write(`${errorLine(error)}\n`);
    if (process.env['SELFSUP_DEBUG'] !== undefined && error instanceof Error)
      process.stderr.write(`${error.stack ?? ''}\n`);
    return exitCodeOf(error);
  }
}
