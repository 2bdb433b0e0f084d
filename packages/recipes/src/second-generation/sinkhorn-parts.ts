import {
  compileStep,
  type CompiledStep,
  type Engine,
  type NamedTensors,
  type StateStore,
  type Step,
} from '@selfsup/compile';
import type { HostArrays, Specs } from '@selfsup/core';
import { joinSinkhornSums, SINKHORN_ITERATIONS, sinkhornSums, type SinkhornFactors } from '@selfsup/ema-distill';
import type * as tf from '@tensorflow/tfjs-core';
import { allOrNothing } from '../training/disposables.js';
import { prefixed, under } from '../training/networks.js';
import { pick } from '../training/partwise.js';
import { networkStateUnder } from '../training/update.js';
import { givenFactors, OUTPUT_KINDS, sinkhornPrefix, type OutputKind, type TeacherOutputs } from './method.js';
import { headFeatures, headLogits, type NamedHead } from './networks.js';
import type { Part } from './parts.js';
import { perView, teacherPrefix, teacherTokens, type MaskedDistillation } from './step.js';

/** Prefix of the teacher's head features, which its logits follow from. */
const FEATURES = 'teacherFeatures.';

/** Sinkhorn-Knopp on the teacher's outputs of all parts of a step, none of which are ever there at once. */
export interface JointTargets {
  /** What the arrays of a part have in addition: features of the teacher's heads, and factors. */
  readonly batch: Specs;
  /** Finds them. */
  prepare(parts: readonly Part[]): Promise<Part[]>;
  dispose(): Promise<void>;
}

const headOf = ({ networks }: MaskedDistillation, kind: OutputKind): NamedHead =>
  kind === 'cls' ? networks.clsHead : networks.patchHead;

/** The teacher's logits of a part whose features are known. */
function logitsOf(
  options: MaskedDistillation,
  kind: OutputKind,
  state: NamedTensors,
  batch: NamedTensors,
): tf.Tensor2D {
  return headLogits(headOf(options, kind), under(teacherPrefix(options), state), batch[FEATURES + kind]);
}

/** The teacher's outputs of a part, from its features. */
export function outputsFromFeatures(
  options: MaskedDistillation,
  state: NamedTensors,
  batch: NamedTensors,
): TeacherOutputs {
  const cls = logitsOf(options, 'cls', state, batch);
  return { cls: perView(cls, cls.shape[0] / 2), patches: logitsOf(options, 'patches', state, batch) };
}

/** Sums of one iteration over a part's rows; `factors` of the iteration before. */
function partSums(
  kind: OutputKind,
  logits: tf.Tensor,
  batch: NamedTensors,
  factors: { readonly factors?: SinkhornFactors },
): NamedTensors {
  const rows = kind === 'cls' ? {} : { rows: batch['patches.weights'] };
  return prefixed(sinkhornPrefix(kind), sinkhornSums(logits, batch['teacherTemperature'], { ...rows, ...factors }));
}

/**
 * Programs for Sinkhorn-Knopp over the parts of a step. The teacher runs once on every part; of its outputs only the
 * heads' features stay, some hundred numbers a row, from which every iteration computes the logits anew.
 *
 * @param views - what a part takes, see `maskedViewSpecs`
 */
export function jointTargets(
  engine: Engine,
  store: StateStore,
  options: MaskedDistillation,
  views: Specs,
): Promise<JointTargets> {
  const { config, networks } = options;
  const images = config.batchSize / config.accumulate;
  const rows: Record<OutputKind, number> = { cls: 2 * images, patches: views['patches.weights'].shape[0] };
  const specs = (shape: (kind: OutputKind) => Record<string, number[]>): Specs =>
    Object.fromEntries(
      OUTPUT_KINDS.flatMap((kind) =>
        Object.entries(shape(kind)).map(([name, s]): [string, Specs[string]] => [name, { shape: s, dtype: 'f32' }]),
      ),
    );
  const features = specs((kind) => ({
    [FEATURES + kind]: [rows[kind], headOf(options, kind).head.config.outputWidth],
  }));
  const factors = specs((kind) => ({
    [`${sinkhornPrefix(kind)}prototypes`]: [1, headOf(options, kind).head.config.prototypes ?? 0],
    [`${sinkhornPrefix(kind)}largest`]: [],
  }));
  const temperature: Specs = { teacherTemperature: { shape: [], dtype: 'f32' } };
  const weights: Specs = { 'patches.weights': views['patches.weights'] };
  const state = networkStateUnder([teacherPrefix(options)], config, networks);

  /** The teacher on a part: features, and the sums of the first iteration. */
  const first: Step = (all, batch) => {
    const parameters = under(teacherPrefix(options), all);
    const tokens = teacherTokens(options, parameters, batch);
    const metrics = OUTPUT_KINDS.map((kind): NamedTensors => {
      const head = headOf(options, kind);
      const found = headFeatures(head, parameters, tokens[kind]);
      return { [FEATURES + kind]: found, ...partSums(kind, headLogits(head, parameters, found), batch, {}) };
    });
    return { state: {}, metrics: Object.assign({}, ...metrics) as NamedTensors };
  };
  /** The sums of a later iteration. */
  const next: Step = (all, batch) => {
    const metrics = OUTPUT_KINDS.map((kind) =>
      partSums(kind, logitsOf(options, kind, all, batch), batch, givenFactors(kind, batch)),
    );
    return { state: {}, metrics: Object.assign({}, ...metrics) as NamedTensors };
  };

  const firstBatch = { ...views, ...temperature };
  const nextBatch = { ...features, ...factors, ...weights, ...temperature };
  /** Factors from the sums of all parts. */
  const joined = (found: readonly HostArrays[], parts: readonly HostArrays[]): HostArrays =>
    Object.assign(
      {},
      ...OUTPUT_KINDS.map((kind): HostArrays => {
        const prefix = sinkhornPrefix(kind);
        const { prototypes, largest } = joinSinkhornSums(
          found.map((sums, k) => ({
            sums: sums[`${prefix}sums`] as Float32Array,
            largest: sums[`${prefix}largest`][0],
            rows: kind === 'cls' ? rows.cls : parts[k]['patches.weights'].filter((weight) => weight > 0).length,
          })),
          parts[0]['teacherTemperature'][0],
        );
        return { [`${prefix}prototypes`]: prototypes, [`${prefix}largest`]: Float32Array.of(largest) };
      }),
    ) as HostArrays;

  return allOrNothing(async (owned) => {
    const compile = (what: string, step: Step, batch: Specs): Promise<CompiledStep> =>
      owned.add(compileStep(step, { engine, store, name: `${config.recipe}.${what}`, state, batch }));
    const looking = await compile('features', first, firstBatch);
    const iterating = await compile('sinkhorn', next, nextBatch);
    return {
      batch: { ...features, ...factors },
      async prepare(parts) {
        const found: HostArrays[] = [];
        for (const { arrays } of parts) found.push(await looking.run(pick(firstBatch, arrays)));
        const known = parts.map(({ arrays }, k) => ({ ...arrays, ...pick(features, found[k]) }));
        let given = joined(found, known);
        for (let i = 1; i < SINKHORN_ITERATIONS; i++) {
          const sums: HostArrays[] = [];
          for (const arrays of known) sums.push(await iterating.run(pick(nextBatch, { ...arrays, ...given })));
          given = joined(sums, known);
        }
        return parts.map(({ images: own }, k) => ({ images: own, arrays: { ...known[k], ...given } }));
      },
      dispose: () => owned.dispose(),
    };
  });
}
