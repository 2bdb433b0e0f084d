import { compareParameters, loadCheckpoint, selectParameters } from '@selfsup/checkpoint';
import type { HostArrays, HostTensor } from '@selfsup/core';
import { loadBackbone } from '../evaluation/load-backbone.js';
import { prefixed } from './networks.js';
import type { Recipe } from './recipe.js';

/** What is taken of given weights: the backbone alone, or heads too. */
export type InitialPart = 'backbone' | 'all';

/** Parameters that a backbone of the first generation cannot have; they start as usual. */
const NEW_PARAMETERS = ['mask_token'];

const NETWORKS = ['student', 'teacher'] as const;

/**
 * State to start from weights instead of random values, for continued training. Student and teacher both start from the
 * backbone of the teacher, which is what the papers evaluate; with `all`, each from its own where the checkpoint has both.
 * Moments of the optimiser and centres start at zero.
 *
 * @param path - run directory, checkpoint folder or safetensors file
 * @returns arrays by the names of `recipe.state`, to be laid over the usual start
 * @throws SslError `CHECKPOINT_MISSING`, `CHECKPOINT_UNREADABLE`, `NO_PARAMS_MATCHED`, `CHECKPOINT_MISMATCH` with all missing, unexpected and
 * mis-shaped names at once
 */
export async function initialWeights(recipe: Recipe, path: string, part: InitialPart): Promise<HostArrays> {
  const { networks, state } = recipe;
  const arrays: HostArrays = {};
  const take = (network: string, weights: Readonly<Record<string, HostTensor>>): void => {
    for (const [name, { data }] of Object.entries(prefixed(`${network}.`, weights)))
      if (name in state) arrays[name] = data;
  };
  if (part === 'backbone') {
    const { weights } = await loadBackbone(path);
    compareParameters(networks.backbone.parameterSpecs(), weights, { source: path, optional: NEW_PARAMETERS });
    for (const network of NETWORKS) take(network, prefixed('backbone.', weights));
    return arrays;
  }
  const checkpoint = await loadCheckpoint(path);
  const all = await checkpoint.read();
  for (const network of NETWORKS) {
    const other = NETWORKS[1 - NETWORKS.indexOf(network)];
    const source = Object.keys(all).some((name) => name.startsWith(`${network}.`)) ? network : other;
    const weights = selectParameters(all, `${source}.`);
    compareParameters(networks.specs, weights, { source: path });
    take(network, weights);
  }
  return arrays;
}
