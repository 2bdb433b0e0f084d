import { compileStep, type Engine, type NamedTensors, type StateStore } from '@selfsup/compile';
import type { HostArrays, Specs } from '@selfsup/core';
import { allOrNothing } from './disposables.js';
import { addToSums, gradientSumSpecs, takeSums, withFreshSums } from './gradient-sums.js';
import { placeImages } from './image-rows.js';
import type { TrainedNetworks } from './networks.js';
import type { TrainingProgram } from './program.js';
import { FINITE, type Updated } from './update.js';

/** Metrics of a part under this prefix are for the update alone. */
export const CARRIED = 'carried.';

/** What the parts of a step are given. */
export interface PartArrays {
  /** Arrays of every part. */
  readonly parts: readonly HostArrays[];
  /** Which images of the batch each part has. */
  readonly images: readonly (readonly number[])[];
  /** Metrics of the whole step that are known before; no part has them. */
  readonly metrics?: HostArrays;
}

/** A step whose loss is the mean of the losses of its parts. */
export interface PartwiseStep {
  readonly name: string;
  readonly networks: Pick<TrainedNetworks, 'specs' | 'groups'>;
  /** Number of parts. */
  readonly parts: number;
  /** What one part does: state it reads, arrays it takes. */
  readonly part: {
    readonly state: Specs;
    readonly batch: Specs;
    /** Gradients of the part's loss; metrics of the part, see {@link joinMetrics}. */
    gradients(state: NamedTensors, batch: NamedTensors): { gradients: NamedTensors; metrics: NamedTensors };
    /** Arrays of every part, out of those of the whole step. */
    arrays(batch: Readonly<HostArrays>): PartArrays | Promise<PartArrays>;
  };
  /** What ends a step. Its arrays are those of the step, and `loss` and `carried.*` of all parts. */
  readonly update: {
    readonly state: Specs;
    readonly batch: Specs;
    apply(gradients: NamedTensors, state: NamedTensors, batch: NamedTensors): Updated;
  };
}

function mean(arrays: readonly Float32Array[]): Float32Array {
  return arrays[0].map((_, i) => arrays.reduce((sum, a) => sum + a[i], 0) / arrays.length);
}

/** Norms of the gradient of a mean over parts, from the norms of the parts' own: they touch different features. */
function meanNorms(arrays: readonly Float32Array[]): Float32Array {
  return arrays[0].map((_, i) => Math.hypot(...arrays.map((a) => a[i])) / arrays.length);
}

/** Rows of images in the order of the batch. */
function inOrder(arrays: readonly Float32Array[], images: readonly (readonly number[])[]): Float32Array {
  const out = new Float32Array(arrays.length * arrays[0].length);
  arrays.forEach((rows, k) => placeImages(out, rows, 1, images.length * images[k].length, images[k]));
  return out;
}

/** How metrics of parts become those of the whole; the others are means. */
const JOINED: Readonly<Record<string, typeof inOrder>> = {
  features: inOrder,
  termGradientNorms: meanNorms,
};

/** Metrics of the whole from those of its parts, which are of equal size. */
export function joinMetrics(
  parts: readonly Readonly<HostArrays>[],
  images: readonly (readonly number[])[],
): HostArrays {
  return Object.fromEntries(
    Object.keys(parts[0]).map((name) => [
      name,
      (JOINED[name] ?? mean)(
        parts.map((metrics) => metrics[name] as Float32Array),
        images,
      ),
    ]),
  );
}

/** The arrays that some specs name. */
export const pick = (specs: Specs, arrays: Readonly<HostArrays>): HostArrays =>
  Object.fromEntries(Object.keys(specs).map((name) => [name, arrays[name]]));

/**
 * Compiles such a step: parts one after the other, their gradients added up in the engine, one update. Nothing of a part
 * is kept but its metrics.
 *
 * @param shared - store to share with programs of the step's own; whoever made it disposes of it
 */
export function partwiseProgram(engine: Engine, step: PartwiseStep, shared?: StateStore): Promise<TrainingProgram> {
  const { name, networks, parts, part, update } = step;
  const sums = gradientSumSpecs(networks);
  return allOrNothing(async (owned) => {
    const store = shared ?? (await owned.add(engine.createStore()));
    const gradients = await owned.add(
      compileStep(
        (state, batch) => {
          const found = part.gradients(state, batch);
          return { state: addToSums(state, found.gradients, 1 / parts), metrics: found.metrics };
        },
        { engine, store, name: `${name}.gradients`, state: { ...part.state, ...sums }, batch: part.batch },
      ),
    );
    const updated = await owned.add(
      compileStep(
        (state, batch) => {
          const { gradients: all, cleared } = takeSums(state);
          const next = update.apply(all, state, batch);
          return { state: { ...next.state, ...cleared }, metrics: next.metrics };
        },
        {
          engine,
          store,
          name: `${name}.update`,
          state: { ...update.state, ...sums },
          batch: update.batch,
          commitIf: FINITE,
        },
      ),
    );
    return {
      store,
      run: withFreshSums(store, sums, async (batch) => {
        const given = await part.arrays(batch);
        const found: HostArrays[] = [];
        for (const arrays of given.parts) found.push(await gradients.run(arrays));
        const whole = { ...joinMetrics(found, given.images), ...given.metrics };
        const metrics = Object.entries(whole).filter(([metric]) => !metric.startsWith(CARRIED));
        return {
          ...Object.fromEntries(metrics),
          ...(await updated.run(pick(update.batch, { ...batch, ...whole }))),
        };
      }),
      dispose: () => owned.dispose(),
    };
  });
}
