import type { Engine, NamedTensors } from '@selfsup/compile';
import { allOrNothing } from '../training/disposables.js';
import { partConfig } from '../training/method.js';
import { prefixed } from '../training/networks.js';
import { CARRIED, partwiseProgram, pick } from '../training/partwise.js';
import type { TrainingProgram } from '../training/program.js';
import { networkStateUnder } from '../training/update.js';
import { updateOf } from './accumulated-update.js';
import { jointTermStage } from './joint-parts.js';
import { maskedMethodOf } from './methods.js';
import type { TeacherOutputs } from './method.js';
import { partsOf } from './parts.js';
import { jointTargets, outputsFromFeatures } from './sinkhorn-parts.js';
import { batchGradients, maskedViewSpecs, teacherOutputs, type MaskedDistillation } from './step.js';

/**
 * The step of DINOv2 or SimDINOv2 in `config.accumulate` parts, one after the other, with the numbers of the whole. Before
 * parts go forward and backward, all of them are looked at where the loss does: Sinkhorn-Knopp sees all teacher outputs
 * ({@link jointTargets}); where parts cut groups, KoLeo or the coding rate sees all of a group ({@link jointTermStage}).
 * Subsets of stochastic depth are those of whole groups in any case.
 *
 * @param pixels - `u8` for bytes, `f32` for crops that are normalised already
 */
export function accumulatedMaskedProgram(
  engine: Engine,
  options: MaskedDistillation,
  pixels: 'u8' | 'f32' = 'u8',
): Promise<TrainingProgram> {
  const { config, networks, method } = options;
  const { joint } = method;
  const ofPart = partConfig(config, joint?.span ?? 'images');
  const part = { config, networks, method: ofPart === undefined ? method : maskedMethodOf(ofPart) };
  const views = maskedViewSpecs(options, config.batchSize / config.accumulate, pixels);
  return allOrNothing(async (owned) => {
    const store = await owned.add(engine.createStore());
    const targets = method.jointTargets ? await owned.add(jointTargets(engine, store, options, views)) : undefined;
    const term =
      joint !== undefined && ofPart === undefined
        ? await owned.add(jointTermStage(engine, store, options, joint, views))
        : undefined;
    const teacherOf = (state: NamedTensors, batch: NamedTensors): TeacherOutputs =>
      term?.teacher?.(batch) ?? (targets === undefined ? teacherOutputs : outputsFromFeatures)(part, state, batch);
    const program = await owned.add(
      partwiseProgram(
        engine,
        {
          name: config.recipe,
          networks,
          parts: config.accumulate,
          part: {
            state: { ...networkStateUnder(['student.', 'teacher.'], config, networks), ...method.state },
            batch: { ...views, ...method.batch, ...targets?.batch, ...term?.batch },
            gradients(state, batch) {
              const { gradients, metrics, means } = batchGradients(part, state, batch, teacherOf(state, batch));
              return {
                gradients,
                metrics: { ...metrics, ...(method.nextState === undefined ? {} : prefixed(CARRIED, means)) },
              };
            },
            async arrays(batch) {
              const own = partsOf(options, views, batch).map(({ images, arrays }) => ({
                images,
                arrays: { ...arrays, ...pick(method.batch, batch) },
              }));
              const parts = targets === undefined ? own : await targets.prepare(own);
              if (term !== undefined) return term.prepare(parts);
              return { images: parts.map(({ images }) => images), parts: parts.map(({ arrays }) => arrays) };
            },
          },
          update: updateOf(options),
        },
        store,
      ),
    );
    return { ...program, dispose: () => owned.dispose() };
  });
}
