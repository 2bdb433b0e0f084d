import { nearestName, type Shaped, sizeOf, SslError } from '@selfsup/core';

/** How the optimiser treats a parameter. */
export interface ParameterTreatment {
  /** Factor of the learning rate; decay shrinks with it. */
  readonly learningRateMultiplier: number;
  /** Factor of the weight decay; 0 for none. */
  readonly weightDecayMultiplier: number;
  /**
   * Name of the clock that counts its updates. Parameters that may be frozen for some steps have one of their own, so
   * that their bias corrections start when they do.
   */
  readonly clock: string;
}

/** Clock of everything that is updated in every step. */
export const MAIN_CLOCK = 'main';

/** Clock of a head's last layer (prototypes), which DINO and DINOv2 freeze at first. */
export const LAST_LAYER_CLOCK = 'lastLayer';

/** Treatment of a parameter by its name and shape. */
export type ParameterRule = (name: string, shape: readonly number[]) => ParameterTreatment;

/** Parameters with the same treatment. */
export interface ParameterGroup extends ParameterTreatment {
  readonly names: readonly string[];
  /** Number of elements of all its parameters. */
  readonly parameterCount: number;
}

/** The one table that says what happens to which parameter. */
export interface ParameterGroups {
  readonly groups: readonly ParameterGroup[];
  /** Index into `groups` by parameter name. */
  readonly groupOf: Readonly<Record<string, number>>;
  /** Parameters that are never updated and have no moments. */
  readonly frozen: readonly string[];
}

/** Options of {@link parameterGroups}. */
export interface ParameterGroupsOptions {
  /** Names never to update, e.g. `head.last_layer.weight_g` where prototypes keep their norm. */
  readonly frozen?: readonly string[];
}

/**
 * Sorts parameters into groups of equal treatment, in the order of their first member.
 *
 * @param specs - Specs, tensors or host tensors by parameter name.
 * @throws SslError `UNKNOWN_NAME` for a frozen name that is not among the parameters; `NO_PARAMS_MATCHED` without any
 * parameter to update
 *
 * @example
 * const groups = parameterGroups(specs, dinoParameterRule(), { frozen: ['head.last_layer.weight_g'] });
 * for (const group of groups.groups) console.log(group.names.length, group.parameterCount, group);
 */
export function parameterGroups(
  specs: Readonly<Record<string, Shaped>>,
  rule: ParameterRule,
  { frozen = [] }: ParameterGroupsOptions = {},
): ParameterGroups {
  const all = Object.keys(specs);
  for (const name of frozen) if (!Object.hasOwn(specs, name)) throw unknownFrozenName(name, all);
  const members = new Map<string, { treatment: ParameterTreatment; names: string[]; parameterCount: number }>();
  for (const name of all) {
    if (frozen.includes(name)) continue;
    const treatment = rule(name, specs[name].shape);
    const key = `${treatment.clock} ${treatment.learningRateMultiplier} ${treatment.weightDecayMultiplier}`;
    const group = members.get(key) ?? { treatment, names: [], parameterCount: 0 };
    group.names.push(name);
    group.parameterCount += sizeOf(specs[name].shape);
    members.set(key, group);
  }
  if (members.size === 0) {
    throw new SslError('NO_PARAMS_MATCHED', {
      where: 'optim.parameterGroups',
      expected: 'at least one parameter to update',
      got: `${all.length} parameters, ${frozen.length} of them frozen`,
      fix: 'pass the specs of the student and freeze fewer of them',
    });
  }
  const groups = [...members.values()].map(({ treatment, ...rest }) => ({ ...treatment, ...rest }));
  const groupOf = Object.fromEntries(groups.flatMap((group, index) => group.names.map((name) => [name, index])));
  return { groups, groupOf, frozen: [...frozen] };
}

/**
 * DINO's and SimDINO's rule (`get_params_groups`): everything but biases and one-dimensional tensors is decayed, also
 * tokens, position embedding and the norms of the prototypes.
 */
export function dinoParameterRule(): ParameterRule {
  return (name, shape) => ({
    learningRateMultiplier: 1,
    weightDecayMultiplier: name.endsWith('.bias') || shape.length === 1 ? 0 : 1,
    clock: clockOf(name),
  });
}

/** Options of {@link dinov2ParameterRule}. */
export interface Dinov2ParameterRuleOptions {
  /** Number of transformer blocks. */
  readonly depth: number;
  /** Factor of the learning rate per layer below the top (the authors' `layerwise_decay`), e.g. 0.9. */
  readonly layerDecay: number;
  /** Further factor of the patch embedding, e.g. 0.2. */
  readonly patchEmbedMultiplier: number;
}

/**
 * DINOv2's and SimDINOv2's rule (`get_params_groups_with_decay`): biases, norms and LayerScale gammas are not decayed;
 * the learning rate shrinks by `layerDecay^(depth + 1 - layer)`, embeddings and tokens being layer 0, block i layer
 * i + 1, final norm and heads the top. Understands `blocks.I.` and chunked `blocks.C.I.` names.
 */
export function dinov2ParameterRule(options: Dinov2ParameterRuleOptions): ParameterRule {
  const { depth, layerDecay, patchEmbedMultiplier } = options;
  return (name) => {
    const layerMultiplier = layerDecay ** (depth + 1 - layerOf(name, depth));
    return {
      learningRateMultiplier: name.includes('patch_embed') ? layerMultiplier * patchEmbedMultiplier : layerMultiplier,
      weightDecayMultiplier: name.endsWith('.bias') || name.includes('norm') || name.includes('gamma') ? 0 : 1,
      clock: clockOf(name),
    };
  };
}

const EMBEDDINGS = /(?:^|\.)(?:pos_embed|patch_embed|mask_token|cls_token|register_tokens)(?:\.|$)/;
const BLOCK = /(?:^|\.)blocks\.(?:\d+\.)?(\d+)\./;

function layerOf(name: string, depth: number): number {
  if (EMBEDDINGS.test(name)) return 0;
  const block = BLOCK.exec(name);
  return block === null ? depth + 1 : Number(block[1]) + 1;
}

function clockOf(name: string): string {
  return name.includes('last_layer') ? LAST_LAYER_CLOCK : MAIN_CLOCK;
}

function unknownFrozenName(name: string, known: readonly string[]): SslError {
  const nearest = nearestName(name, known);
  return new SslError('UNKNOWN_NAME', {
    where: 'optim.parameterGroups',
    expected: `frozen names among the ${known.length} parameters`,
    got: `"${name}"`,
    fix: nearest === undefined ? 'leave it out' : `did you mean "${nearest}"`,
    details: { name, ...(nearest === undefined ? {} : { nearest }) },
  });
}
