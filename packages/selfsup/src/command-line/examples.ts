import type { Command } from 'commander';

/** What `--help` of a command ends with, by its names after `selfsup`; '' is selfsup itself. */
export const EXAMPLES: Readonly<Record<string, string>> = {
  '': `
Start here:
  selfsup demo                                      # a few minutes, nothing to prepare
  selfsup train simdino --preset cifar-tiny --data path/to/folder --out runs/mine
  selfsup eval knn --checkpoint runs/mine --data path/to/class-folders
  selfsup report runs/mine
  selfsup COMMAND --help

Exit codes: 0 done, 2 wrong use, 1 failed while working, 130 interrupted after saving.`,

  train: `
Presets (those named after a data set are the papers'; all others are ours):
  simdino    demo, cifar-tiny, imagenet-vitb16 (default), imagenet-vitl16
  dino       cifar-tiny, imagenet-vits16 (default), imagenet-vitb16
  simdinov2  cifar-tiny, single-gpu, imagenet-vitb16, imagenet-vitl16 (default)
  dinov2     cifar-tiny, single-gpu, imagenet-vitl16-short (default), imagenet22k-vitl14, imagenet22k-vitg14
  distill    cifar-tiny, single-gpu (default)

Examples:
  selfsup train simdino --preset cifar-tiny --data photos --out runs/mine
  selfsup train simdino --resume --out runs/mine
  selfsup train dino --arch vit_small --batch-size 32 --steps 2000 --data photos --out runs/small
  selfsup train simdino --preset cifar-tiny --set loss.codingRateEps=0.2 --data photos --out runs/eps
  selfsup train distill --teacher runs/mine --preset cifar-tiny --data photos --out runs/student

Ctrl-C saves and stops. Settings: preset, then --config, then options, then --set.`,

  'eval knn': `
Example:
  selfsup eval knn --checkpoint runs/mine --data path/to/class-folders`,

  'bench step': `
Example:
  selfsup bench step --recipe simdino --arch vit_small --batch-size 8`,

  'bench compile': `
Example (after selfsup engine add cuda13):
  selfsup bench compile --arch vit_small --batch-size 64 --precision bf16`,

  demo: `
Example:
  selfsup demo --steps 100 --out runs/short`,

  repro: `
Example:
  selfsup repro simdino/imagenet-vitb16 --data path/to/imagenet --engine xla --devices 8`,

  report: `
Example:
  selfsup report runs/mine        # writes runs/mine/report.html`,

  'show neighbours': `
Example:
  selfsup show neighbours --checkpoint runs/mine --data photos --out pictures a.jpg b.jpg`,

  'show attention': `
Example:
  selfsup show attention --checkpoint runs/mine --out pictures a.jpg b.jpg`,

  'show dynamics': `
Example:
  selfsup show dynamics --checkpoint runs/mine --out pictures`,

  'show augment': `
Example:
  selfsup show augment --recipe simdino --preset cifar-tiny --out pictures a.jpg`,

  'engine add': `
Examples:
  selfsup engine add cpu          # XLA on this processor, to try it
  selfsup engine add cuda13       # NVIDIA GPUs, driver 580 or newer`,
};

/** Adds its examples to the help of a command and of all below it. */
export function withExamples(command: Command, path: readonly string[] = []): Command {
  const text = EXAMPLES[path.join(' ')];
  if (text !== undefined) command.addHelpText('after', text);
  for (const below of command.commands) withExamples(below, [...path, below.name()]);
  return command;
}
