import { checkShape, type HostTensor, hostArray, type Shaped, SslError } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { ADAMW_COLUMNS } from './adamw-scalars.js';
import type { ParameterGroups } from './parameter-groups.js';

/** Tensors by parameter name. */
export type Tensors = Readonly<Record<string, tf.Tensor>>;

/** What {@link adamW} works on. */
export interface AdamWInput {
  /** float32, any shapes. */
  readonly params: Tensors;
  /** Gradients by the same names; those of frozen parameters are not looked at. */
  readonly grads: Tensors;
  /** First moments of all parameters that are not frozen; zeros at first, see {@link adamWMoments}. */
  readonly m: Tensors;
  /** Second moments, likewise. */
  readonly v: Tensors;
  readonly groups: ParameterGroups;
  /** float32 `[groups, 7]`: this step's {@link adamWScalars}. */
  readonly scalars: tf.Tensor;
  /**
   * Factors of the gradients by name, from {@link clipScalesPerTensor} or {@link clipScalesPerModule}; a parameter
   * without one is not scaled. Cheaper than scaled gradients: it costs no pass over the data.
   */
  readonly gradientScales?: Tensors;
}

/** New tensors, owned by the caller. */
export interface AdamWOutput {
  /** Every parameter, frozen ones unchanged. */
  readonly params: Record<string, tf.Tensor>;
  readonly m: Record<string, tf.Tensor>;
  readonly v: Record<string, tf.Tensor>;
}

/**
 * One step of AdamW (Loshchilov and Hutter, 2019) with PyTorch's arithmetic: decay decoupled and first, bias
 * corrections from the clock of each parameter's group. Pure, and keyed by name: neither order nor absence of a
 * parameter in one step can move moments to another.
 *
 * @throws SslError `SHAPE_MISMATCH` listing what is missing, or for a wrong shape
 *
 * @example
 * const next = adamW({ params, grads, m, v, groups, scalars });
 */
export function adamW(input: AdamWInput): AdamWOutput {
  const { params, grads, m, v, groups, gradientScales = {} } = input;
  checkInput(input);
  return tf.tidy(() => {
    const rows = groups.groups.map((_, row) => groupScalars(input.scalars, row));
    const output: AdamWOutput = { params: {}, m: {}, v: {} };
    for (const name of groups.frozen) output.params[name] = tf.clone(params[name]);
    for (const [name, group] of Object.entries(groups.groupOf)) {
      const decays = groups.groups[group].weightDecayMultiplier !== 0;
      const tensors = { p: params[name], g: grads[name], m: m[name], v: v[name] };
      const next = tf.tidy(() => updateOne(tensors, rows[group], decays, gradientScales[name]));
      output.params[name] = next.p;
      output.m[name] = next.m;
      output.v[name] = next.v;
    }
    return { ...output };
  });
}

/** Zeroed moments for every parameter that is updated, under its own name. */
export function adamWMoments(
  specs: Readonly<Record<string, Shaped>>,
  groups: ParameterGroups,
): Record<string, HostTensor> {
  return Object.fromEntries(
    Object.keys(groups.groupOf).map((name) => {
      const spec = { shape: [...specs[name].shape], dtype: 'f32' } as const;
      return [name, { ...spec, data: hostArray(spec) }];
    }),
  );
}

type Scalars = Record<(typeof ADAMW_COLUMNS)[number], tf.Tensor>;

function groupScalars(scalars: tf.Tensor, row: number): Scalars {
  const cells = ADAMW_COLUMNS.map((name, column) => {
    return [name, tf.reshape(tf.slice(scalars, [row, column], [1, 1]), [])];
  });
  return Object.fromEntries(cells) as Scalars;
}

interface OneParameter extends Record<string, tf.Tensor> {
  readonly p: tf.Tensor;
  readonly m: tf.Tensor;
  readonly v: tf.Tensor;
}

/** Memory-bound, so it is arranged for few passes: all factors are scalars, and a clipping factor joins them. */
function updateOne(
  { p, g, m, v }: OneParameter & { readonly g: tf.Tensor },
  s: Scalars,
  decays: boolean,
  scale: tf.Tensor | undefined,
): OneParameter {
  const firstGain = scale === undefined ? s.firstGain : tf.mul(s.firstGain, scale);
  const secondGain = scale === undefined ? s.secondGain : tf.mul(s.secondGain, scale);
  const nextM = tf.add(tf.mul(m, s.firstDecay), tf.mul(g, firstGain));
  const nextV = tf.add(tf.mul(v, s.secondDecay), tf.square(tf.mul(g, secondGain)));
  const step = tf.mul(tf.div(nextM, tf.add(tf.sqrt(nextV), s.epsilon)), s.stepSize);
  return { p: tf.sub(decays ? tf.mul(p, s.parameterDecay) : p, step), m: nextM, v: nextV };
}

function checkInput({ params, grads, m, v, groups, scalars }: AdamWInput): void {
  const where = 'optim.adamW';
  checkShape(where, 'scalars', scalars, [groups.groups.length, ADAMW_COLUMNS.length]);
  const names = Object.keys(groups.groupOf);
  const missing = Object.entries({ params, grads, m, v }).flatMap(([kind, tensors]) =>
    names.filter((name) => !Object.hasOwn(tensors, name)).map((name) => `${kind}: ${name}`),
  );
  for (const name of groups.frozen) if (!Object.hasOwn(params, name)) missing.push(`params: ${name}`);
  const unexpected = Object.keys(params).filter(
    (name) => !Object.hasOwn(groups.groupOf, name) && !groups.frozen.includes(name),
  );
  if (missing.length + unexpected.length > 0) {
    throw new SslError('SHAPE_MISMATCH', {
      where,
      expected: `parameters, gradients and moments of the ${names.length} names in the groups`,
      got: [listed('missing', missing), listed('not in the groups', unexpected)].filter((s) => s !== '').join('; '),
      fix: 'build the groups from these parameters; a parameter without gradient must be frozen there',
      details: { missing, unexpected },
    });
  }
  for (const name of names) {
    for (const [kind, tensors] of Object.entries({ grads, m, v })) {
      checkShape(where, `${kind}: ${name}`, tensors[name], params[name].shape);
    }
  }
}

function listed(label: string, names: readonly string[]): string {
  const more = names.length > 6 ? ` and ${names.length - 6} more` : '';
  return names.length === 0 ? '' : `${label}: ${names.slice(0, 6).join(', ')}${more}`;
}
