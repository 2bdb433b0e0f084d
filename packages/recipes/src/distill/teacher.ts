import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { vitConfig, type VitConfig } from '@selfsup/backbone-vit';
import { sizeOf, SslError, type HostArrays, type HostTensor, type Shaped } from '@selfsup/core';
import type { DistillConfig } from '../config/types.js';
import { loadBackbone } from '../evaluation/load-backbone.js';
import { prefixed } from '../training/networks.js';
import { buildDistillNetworks, FROZEN } from './networks.js';

/** A teacher that was read. */
export interface FrozenTeacher {
  /** The configuration with everything about the teacher filled in. */
  readonly config: DistillConfig;
  /** Its weights, by the names of the recipe's frozen state. */
  readonly frozen: HostArrays;
  /** What the user should know. */
  readonly notes: readonly string[];
}

const WHERE = 'recipes.withFrozenTeacher';

function refuse(expected: string, got: string, fix: string, details: Readonly<Record<string, unknown>>): never {
  throw new SslError('BAD_OPTION', { where: WHERE, expected, got, fix, details });
}

/** SHA-256 over names, shapes and values: the same weights in another file are the same teacher. */
function weightsHash(weights: Readonly<Record<string, HostTensor>>): string {
  const hash = createHash('sha256');
  for (const name of Object.keys(weights).sort()) {
    const { shape, dtype, data } = weights[name];
    hash.update(`${name} ${dtype} ${JSON.stringify(shape)}\n`).update(data);
  }
  return hash.digest('hex');
}

/** Refuses a teacher that cannot look at the student's views, or whose patches are others. */
function checkTeacher({ arch, backbone, crops, loss }: DistillConfig, teacher: VitConfig): void {
  const student = vitConfig(arch, backbone);
  if (teacher.channels !== student.channels) {
    refuse(
      `a teacher of pictures with ${student.channels} channels, as the student has`,
      `${teacher.channels}`,
      'use a teacher that was trained on such pictures',
      { teacher: teacher.channels, student: student.channels },
    );
  }
  const { patchSize } = teacher;
  if (patchSize !== student.patchSize && loss.patchWeight > 0) {
    refuse(
      `a teacher with patches of ${student.patchSize} pixels, as the student has: patches are compared place by place`,
      `${patchSize}`,
      `use --set backbone.patchSize=${patchSize} with crops that are multiples of it, or --set loss.patchWeight=0`,
      { teacher: patchSize, student: student.patchSize },
    );
  }
  const sizes = [crops.global.size, ...(crops.local.count > 0 ? [crops.local.size] : [])];
  const odd = sizes.find((size) => size % patchSize !== 0);
  if (odd !== undefined) {
    refuse(
      `crops that are multiples of the teacher's patches of ${patchSize} pixels`,
      `${odd}`,
      `use ${Math.max(1, Math.round(odd / patchSize)) * patchSize}`,
      { sizes, patchSize },
    );
  }
}

const parameters = (shapes: Readonly<Record<string, Shaped>>): number =>
  Object.values(shapes).reduce((sum, { shape }) => sum + sizeOf(shape), 0);

const millions = (count: number): string => `${(count / 1e6).toPrecision(3)} M`;

/**
 * Reads the teacher of `config.teacher.path`: a run directory (its EMA teacher; the student of a run without), a
 * checkpoint folder or a safetensors file, of the first or second generation. Where the configuration knows the hash of
 * its weights, they must be the same.
 *
 * @throws SslError `BAD_OPTION` for a path that is not there and for a teacher of other channels or patches,
 * `CHECKPOINT_MISMATCH` for other weights than the configuration names, and those of `loadBackbone`
 */
export async function withFrozenTeacher(config: DistillConfig): Promise<FrozenTeacher> {
  const { path, sha256: known } = config.teacher;
  if (path === '') {
    refuse(
      'a frozen teacher to distil from',
      'none',
      'name a run directory, checkpoint folder or safetensors file: --teacher PATH',
      {},
    );
  }
  await stat(path).catch((cause: unknown) =>
    refuse('a teacher that is there', `${path} (seen from ${process.cwd()})`, 'say where it is with --teacher PATH', {
      path,
      cause: String(cause),
    }),
  );
  const { backbone, weights, source, notes } = await loadBackbone(path);
  checkTeacher(config, backbone.config);
  const sha256 = weightsHash(weights);
  if (known !== '' && known !== sha256) {
    throw new SslError('CHECKPOINT_MISMATCH', {
      where: WHERE,
      expected: `the teacher this run was started with (SHA-256 ${known.slice(0, 12)}...)`,
      got: `other weights (${sha256.slice(0, 12)}...) in ${path}`,
      fix: 'say where the right one is with --teacher PATH, or start a new run',
      details: { path, expected: known, got: sha256 },
    });
  }
  const found: DistillConfig = {
    ...config,
    teacher: { path: resolve(source), sha256, backbone: backbone.config },
  };
  const sizes = {
    teacher: parameters(weights),
    student: parameters(buildDistillNetworks(found).backbone.parameterSpecs()),
  };
  return {
    config: found,
    frozen: Object.fromEntries(Object.entries(prefixed(FROZEN, weights)).map(([name, { data }]) => [name, data])),
    notes: [
      ...notes,
      ...(sizes.student > sizes.teacher
        ? [`the student has more parameters (${millions(sizes.student)}) than its teacher (${millions(sizes.teacher)})`]
        : []),
    ],
  };
}
