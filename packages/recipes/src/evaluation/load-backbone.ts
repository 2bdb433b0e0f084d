import { dirname } from 'node:path';
import { vit, vitConfig, VIT_ARCHITECTURES, VIT_FLAVOURS, type Vit, type VitConfig } from '@selfsup/backbone-vit';
import { compareParameters, loadCheckpoint, normalizeCheckpointNames, selectParameters } from '@selfsup/checkpoint';
import { SslError, type HostTensor, type Specs } from '@selfsup/core';
import type { RecipeConfig } from '../config/types.js';

/** A backbone with its weights on the host. */
export interface LoadedBackbone {
  readonly backbone: Vit;
  readonly weights: Record<string, HostTensor>;
  /** Which network it was: EMA teacher, student, or a file with a backbone alone. */
  readonly from: 'teacher' | 'student' | 'file';
  /** Checkpoint folder or file it was read from. */
  readonly source: string;
  /** Number of steps trained, where the checkpoint says. */
  readonly step: number | undefined;
  readonly notes: readonly string[];
}

export interface LoadBackboneOptions {
  /** `teacher` by default where there is one: it is what the papers evaluate. */
  readonly from?: 'teacher' | 'student';
}

/** Configuration of a bare backbone file, from the shapes of its weights; heads are 64 wide as in every published ViT. */
function configFromShapes(specs: Specs): VitConfig {
  const patch = specs['patch_embed.proj.weight']?.shape;
  const position = specs['pos_embed']?.shape;
  if (patch === undefined || position === undefined) {
    throw new SslError('CHECKPOINT_MISMATCH', {
      where: 'recipes.loadBackbone',
      expected: 'a vision transformer (patch_embed.proj.weight, pos_embed, ...)',
      got: `names such as ${Object.keys(specs).slice(0, 3).join(', ')}`,
      fix: 'pass a run directory, or a backbone file with the state-dict names of DINO',
    });
  }
  const [width, channels, patchSize] = patch;
  const depth = new Set(Object.keys(specs).flatMap((name) => /^blocks\.(\d+)\./.exec(name)?.[1] ?? [])).size;
  const known = Object.values(VIT_ARCHITECTURES).find((a) => a.width === width && a.depth === depth);
  return vitConfig('vit_small', {
    ...flavourFromShapes(specs),
    imageSize: Math.round(Math.sqrt(position[1] - 1)) * patchSize,
    patchSize,
    channels,
    width,
    depth,
    heads: known?.heads ?? Math.max(1, Math.round(width / 64)),
    mlpRatio: (specs['blocks.0.mlp.fc1.weight']?.shape[0] ?? 4 * width) / width,
  });
}

/** What the names alone tell of the second generation; published networks with registers interpolate differently. */
function flavourFromShapes(specs: Specs): Partial<VitConfig> {
  if (!('mask_token' in specs) && !('blocks.0.ls1.gamma' in specs)) return {};
  const registers = specs['register_tokens']?.shape[1] ?? 0;
  return {
    ...VIT_FLAVOURS[registers > 0 ? 'dinov2-registers' : 'dinov2'],
    registers,
    maskToken: 'mask_token' in specs,
    ffn: 'blocks.0.mlp.w12.weight' in specs ? 'swiglu' : 'mlp',
    ...('blocks.0.ls1.gamma' in specs ? {} : { layerScale: undefined }),
  };
}

/**
 * The backbone of a run, a checkpoint folder, or a safetensors file.
 *
 * @throws SslError `CHECKPOINT_MISSING`, `CHECKPOINT_UNREADABLE`, `CHECKPOINT_MISMATCH` (all missing, unexpected and mis-shaped names at once),
 * `NO_PARAMS_MATCHED` when the network asked for is not there
 */
export async function loadBackbone(path: string, { from }: LoadBackboneOptions = {}): Promise<LoadedBackbone> {
  const checkpoint = await loadCheckpoint(path);
  const { manifest, notes } = checkpoint;
  if (manifest !== undefined) {
    const config = manifest.config as unknown as RecipeConfig;
    const hasTeacher = Object.keys(checkpoint.specs).some((name) => name.startsWith('teacher.'));
    const network = from ?? (hasTeacher ? 'teacher' : 'student');
    const prefix = `${network}.backbone.`;
    const backbone = vit(vitConfig(config.arch, config.backbone));
    const weights = selectParameters(await checkpoint.read(prefix), prefix);
    compareParameters(backbone.parameterSpecs(), weights, { source: path });
    return { backbone, weights, from: network, source: dirname(checkpoint.path), step: manifest.step, notes };
  }
  const all = await checkpoint.read();
  const { names } = normalizeCheckpointNames(Object.keys(all), from === undefined ? {} : { from });
  const weights = Object.fromEntries(Object.entries(names).map(([was, is]) => [is, all[was]]));
  const backbone = vit(configFromShapes(weights));
  compareParameters(backbone.parameterSpecs(), weights, { source: path });
  return { backbone, weights, from: 'file', source: checkpoint.path, step: undefined, notes };
}
