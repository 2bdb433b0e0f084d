import { SslError } from '@selfsup/core';

/** Heads of the published training checkpoints; only the backbone is kept of them. */
const HEADS = /^(head|dino_head|ibot_head)\./;

/** Options of {@link normalizeCheckpointNames}. */
export interface NormalizeOptions {
  /** Which network of a checkpoint that holds several. Default: `teacher`, else `model`, where there is one. */
  readonly from?: string;
}

/** How the names of a published checkpoint translate. */
export interface NormalizedNames {
  /** Name in the file to backbone name. */
  readonly names: Readonly<Record<string, string>>;
  /** Names left out: heads, and the other networks of the file. */
  readonly dropped: readonly string[];
}

/** Takes off what wrappers put before a name: torch.compile, DistributedDataParallel, the multi-crop wrapper. */
function unwrap(name: string): string {
  return name.replaceAll('_orig_mod.', '').replace(/^(?:module\.)+/, '');
}

/**
 * Translates the names of a checkpoint of the authors (DINO, DINOv2, SimDINO, SimDINOv2) to bare backbone names: the
 * teacher (else `model`) is picked, `_orig_mod.`, `module.` and `backbone.` are taken off, heads are left out, and
 * `blocks.<chunk>.<i>.` of chunked models becomes `blocks.<i>.` (i counts through all chunks). Bare names stay.
 *
 * @throws SslError `NO_PARAMS_MATCHED` where nothing is left, `CHECKPOINT_MISMATCH` where two names become the same
 *
 * @example
 * const { names } = normalizeCheckpointNames(['teacher.backbone.blocks.0.3.norm1.weight', 'teacher.dino_head.mlp.0.bias']);
 * names['teacher.backbone.blocks.0.3.norm1.weight']; // blocks.3.norm1.weight
 */
export function normalizeCheckpointNames(names: readonly string[], options: NormalizeOptions = {}): NormalizedNames {
  const from =
    options.from ?? ['teacher', 'model'].find((network) => names.some((name) => name.startsWith(`${network}.`)));
  const prefix = from === undefined ? '' : `${from}.`;
  const translated = new Map<string, string>();
  const origin = new Map<string, string>();
  const dropped: string[] = [];
  for (const name of names) {
    const bare = unwrap(name.slice(prefix.length));
    if (!name.startsWith(prefix) || HEADS.test(bare)) {
      dropped.push(name);
      continue;
    }
    const key = unwrap(bare.replace(/^(?:backbone\.)+/, '')).replace(/^blocks\.\d+\.(\d+)\./, 'blocks.$1.');
    const other = origin.get(key);
    if (other !== undefined) {
      throw new SslError('CHECKPOINT_MISMATCH', {
        where: 'checkpoint.normalizeCheckpointNames',
        expected: 'one tensor for each name of the backbone',
        got: `${other} and ${name}, which both are ${key}`,
        fix: 'say which network of the checkpoint you mean',
        details: { name: key, from: [other, name] },
      });
    }
    origin.set(key, name);
    translated.set(name, key);
  }
  if (translated.size === 0) {
    throw new SslError('NO_PARAMS_MATCHED', {
      where: 'checkpoint.normalizeCheckpointNames',
      expected: `backbone parameters${from === undefined ? '' : ` that begin with "${prefix}"`}`,
      got: names.length === 0 ? 'no names' : names.slice(0, 5).join(', '),
      fix: 'check that this is a checkpoint of a vision transformer',
      details: { from, names: names.slice(0, 50) },
    });
  }
  return { names: Object.fromEntries(translated), dropped };
}
