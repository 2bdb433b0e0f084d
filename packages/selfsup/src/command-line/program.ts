import { Command, Option } from 'commander';
import { ownVersion } from '../doctor/versions.js';
import { createOutput, type Output } from '../terminal/output.js';
import { withExamples } from './examples.js';
import { checkNeeded, collect, engineOptions, needed, real, runOptions, whole } from './options.js';

/** A command's work; loaded when it is run. */
type Run<T> = (options: T, output: Output) => Promise<void>;

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
      checkNeeded(command, options as Readonly<Record<string, unknown>>);
      const run = await load();
      await run(prepare(options, args), createOutput(options.json === true));
    });
}

function addReport(program: Command): void {
  const report = program
    .command('report')
    .argument('<run>', 'run directory')
    .description('one HTML page about a run')
    .option('--out <file>', 'file to write; report.html in the run directory by default')
    .option('--data <dir>', 'pictures to show, instead of the folder the run was trained on')
    .option('--no-pictures', 'curves and settings only');
  engineOptions(report);
  action(
    report,
    async () => (await import('../commands/report.js')).report,
    (o, [run]) => ({ ...(o as object), run }) as never,
  );
}

function addRepro(program: Command): void {
  const repro = program
    .command('repro')
    .argument('<preset>', 'RECIPE/PRESET, e.g. simdino/imagenet-vitb16')
    .description('train a preset, evaluate it, and write a card with the numbers beside the published ones')
    .option('--out <dir>', 'run directory; runs/repro-RECIPE-PRESET by default');
  runOptions(repro);
  action(
    repro,
    async () => (await import('../commands/repro.js')).repro,
    (o, [preset]) => ({ ...(o as object), preset }) as never,
  );
}

function addShow(program: Command): void {
  const show = program.command('show').description('write PNG pictures of what a network sees and does');
  const kind = (name: string, description: string): Command =>
    needed(show.command(name).description(description), '--out <dir>', 'folder for the pictures');
  const withImages = (command: Command): Command => command.argument('<images...>', 'image files');
  const withCheckpoint = (command: Command): Command =>
    needed(command, '--checkpoint <path>', 'run directory, checkpoint or .safetensors file');
  const images = <T>(o: T, args: string[]): T => ({ ...o, images: args });

  const neighbours = needed(
    withCheckpoint(withImages(kind('neighbours', 'pictures of a folder most like the given ones'))).alias('neighbors'),
    '--data <dir>',
    'pictures to look through',
  )
    .option('--k <n>', 'neighbours of each picture', whole('k'), 8)
    .option('--limit <n>', 'pictures to look through at most, evenly spread', whole('limit'), 5000);
  action(engineOptions(neighbours), async () => (await import('../commands/show.js')).showNeighbours, images);

  const attention = withCheckpoint(
    withImages(kind('attention', 'what the CLS token looks at in the last block, head by head')),
  ).option('--image-size <n>', 'side of the pictures; as in training by default', whole('image-size'));
  action(engineOptions(attention), async () => (await import('../commands/show.js')).showAttention, images);

  const dynamics = needed(kind('dynamics', 'curves of a run'), '--checkpoint <run>', 'run directory').option(
    '--svg',
    'write an SVG instead of a PNG',
  );
  action(dynamics, async () => (await import('../commands/show.js')).showDynamics);

  const augment = withImages(kind('augment', 'the views that training makes of a picture'))
    .option('--checkpoint <path>', 'run whose settings to take')
    .option('--recipe <name>', 'recipe whose presets to take', 'simdino')
    .option('--preset <name>', 'settings to take, without --checkpoint')
    .option('--draws <n>', 'times each picture is drawn', whole('draws'), 3)
    .option('--seed <n>', 'seed of everything random', whole('seed', 0));
  action(augment, async () => (await import('../commands/show.js')).showAugment, images);
}

function addEngine(program: Command): void {
  const engine = program.command('engine').description('plugins of XLA: GPUs, several devices');
  const named = <T>(o: T, [name]: string[]): T => ({ ...o, name });

  const list = engine.command('list').description('plugins installed, with their devices, and those to add');
  action(list, async () => (await import('../commands/engine.js')).engineList);

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
  action(add, async () => (await import('../commands/engine.js')).engineAdd, named);

  const remove = engine.command('remove').argument('<name>', 'an installed plugin').description('delete a plugin');
  action(remove, async () => (await import('../commands/engine.js')).engineRemove, named);
}

/** The whole command line as a commander program. */
export function buildProgram(): Command {
  const program = new Command('selfsup')
    .description('Self-supervised vision: train, evaluate and look at vision transformers on your own images.')
    .version(ownVersion(), '-V, --version', 'print the version')
    .configureOutput({ writeOut: (text) => process.stdout.write(text) });

  const train = program
    .command('train')
    .argument('<recipe>', 'simdino, dino, simdinov2, dinov2, or distill (from a frozen --teacher)')
    .description('train a backbone on a folder of images')
    .option('--preset <name>', 'named settings to start from; see below')
    .option('--out <dir>', 'run directory; runs/RECIPE, or the next free number, by default')
    .option('--init <path>', 'weights to start from: run directory, checkpoint directory or .safetensors file')
    .addOption(
      new Option('--init-part <part>', 'what to take of --init').choices(['backbone', 'all']).default('backbone'),
    )
    .option('--teacher <path>', 'frozen teacher of distill: run directory, checkpoint directory or .safetensors file');
  runOptions(train, 'resume');
  action(
    train,
    async () => (await import('../commands/train.js')).train,
    (o, [recipe]) => ({ ...(o as object), recipe }) as never,
  );

  const evaluate = program.command('eval').description('evaluate a checkpoint');
  const knn = evaluate.command('knn').description('weighted k-NN accuracy of frozen features');
  needed(knn, '--checkpoint <path>', 'run directory, checkpoint directory or .safetensors file');
  needed(knn, '--data <dir>', 'labelled images: class folders, or CIFAR binaries')
    .option('--k <list>', 'neighbours, comma separated', '10,20,100,200')
    .option('--temperature <t>', 'temperature of the votes', real('temperature', 1e-6), 0.07)
    .option('--batch-size <n>', 'images at once', whole('batch-size'), 64)
    .option('--from <network>', 'teacher or student; the teacher by default');
  action(engineOptions(knn), async () => (await import('../commands/eval-knn.js')).evalKnn);

  const bench = program.command('bench').description('measure this machine');
  const step = bench
    .command('step')
    .description('time whole training steps')
    .option('--recipe <name>', 'simdino, dino, simdinov2 or dinov2', 'simdino')
    .option('--preset <name>', "settings to measure; the recipe's own by default")
    .option('--arch <name>', 'architecture', 'vit_tiny')
    .option('--batch-size <n>', 'images of a step', whole('batch-size'), 8)
    .option('--steps <n>', 'measured steps', whole('steps'), 5)
    .option('--set <key=json>', 'one setting; may be repeated', collect);
  action(engineOptions(step), async () => (await import('../commands/bench-step.js')).benchStep);

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
  action(compile, async () => (await import('../commands/bench-compile.js')).benchCompile);

  const demo = program
    .command('demo')
    .description('train on emoji in a few minutes and see the difference')
    .option('--out <dir>', 'where the pictures and the run go; runs/demo, or the next free number, by default')
    .option('--resume', 'go on from the last checkpoint of --out; without it, of the newest default folder')
    .option('--steps <n>', 'total number of steps; 340 by default', whole('steps'))
    .option('--seed <n>', 'seed of everything random; 0 by default', whole('seed', 0));
  action(engineOptions(demo), async () => (await import('../commands/demo.js')).demo);

  addRepro(program);
  addReport(program);
  addShow(program);
  addEngine(program);
  const doctor = program
    .command('doctor')
    .description('look at everything a run needs, and say how to mend what is broken')
    .option('--out <dir>', 'folder that runs go to', 'runs')
    .option('--seconds <t>', 'length of the matrix product of each engine', real('seconds', 0.01), 2);
  action(doctor, async () => (await import('../commands/doctor.js')).doctor);

  return withExamples(program);
}
