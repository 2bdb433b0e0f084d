import type { Engine } from '@selfsup/compile';
import { partConfig } from '../training/method.js';
import { prefixed } from '../training/networks.js';
import { CARRIED, partwiseProgram, pick } from '../training/partwise.js';
import type { TrainingProgram } from '../training/program.js';
import { networkStateSpecs } from '../training/update.js';
import { updateOf } from './accumulated-update.js';
import { maskedMethodOf } from './methods.js';
import { partArrays } from './parts.js';
import { jointTargets, outputsFromFeatures } from './sinkhorn-parts.js';
import { batchGradients, maskedViewSpecs, teacherOutputs, type MaskedDistillation } from './step.js';
import { twoPassProgram } from './two-pass.js';

/**
 * The step of DINOv2 or SimDINOv2 in `config.accumulate` parts, one after the other, with the numbers of the whole. Parts
 * of whole groups go forward and backward once; where Sinkhorn-Knopp has to see all teacher outputs first, see
 * {@link jointTargets}. Parts that cut groups take {@link twoPassProgram}. Subsets of stochastic depth are those of whole
 * groups in any case.
 *
 * @param pixels - `u8` for bytes, `f32` for crops that are normalised already
 */
export async function accumulatedMaskedProgram(
  engine: Engine,
  options: MaskedDistillation,
  pixels: 'u8' | 'f32' = 'u8',
): Promise<TrainingProgram> {
  const { config, networks, method } = options;
  const ofPart = partConfig(config, method.separable);
  if (ofPart === undefined) return twoPassProgram(engine, options, pixels);
  const part = { config, networks, method: maskedMethodOf(ofPart) };
  const views = maskedViewSpecs(options, config.batchSize / config.accumulate, pixels);
  const store = engine.createStore();
  const joint = method.jointTargets ? await jointTargets(engine, store, options, views) : undefined;
  const teacher = joint === undefined ? teacherOutputs : outputsFromFeatures;
  const readers = Object.entries(networkStateSpecs(config, networks)).filter(([name]) => !name.startsWith('adam.'));
  const program = await partwiseProgram(
    engine,
    {
      name: config.recipe,
      networks,
      parts: config.accumulate,
      part: {
        state: { ...Object.fromEntries(readers), ...method.state },
        batch: { ...views, ...method.batch, ...joint?.batch },
        gradients(state, batch) {
          const { gradients, metrics, means } = batchGradients(part, state, batch, teacher(part, state, batch));
          return {
            gradients,
            metrics: { ...metrics, ...(method.nextState === undefined ? {} : prefixed(CARRIED, means)) },
          };
        },
        async arrays(batch) {
          const parts = partArrays(options, views, batch).map((own) => ({ ...own, ...pick(method.batch, batch) }));
          return joint === undefined ? parts : joint.prepare(parts);
        },
      },
      update: updateOf(options),
    },
    store,
  );
  return {
    ...program,
    async dispose() {
      await joint?.dispose();
      await program.dispose();
    },
  };
}
