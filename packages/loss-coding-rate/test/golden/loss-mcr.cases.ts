import { normalize } from '@selfsup/ops';
import type { FixtureCase } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { type Found, type GoldenFunction, gradientsOf, type NamedTensors } from '@selfsup/test-kit/golden-case';
import { simDinoLoss, type SimDinoOptions } from '../../src/index.js';

type Outputs = Found['outputs'];

const WHOSE = ['student', 'mean-with-teacher'] as const;

/** Numbers near zero are as good as the terms they are the difference of. */
const SCALAR_FLOOR = 1e-6;

/** A gradient that is zero in exact arithmetic is stored as rounding noise. */
const GRADIENT_FLOOR = 1e-7;

/** The fixtures' names of the loss and its parts. */
const PARTS = ['loss', 'comp', 'expa'] as const;

type Part = (typeof PARTS)[number];

/** Loss and parts, and the gradients of some of them with respect to the student, by the fixtures' names. */
function lossAndGradients(
  { student, teacher }: NamedTensors,
  options: SimDinoOptions,
  differentiated: readonly Part[],
): NamedTensors {
  const found = differentiated.map((part) => {
    const { outputs, gradients } = gradientsOf({ student }, () => {
      const pair = { student: student as tf.Tensor3D, teacher: teacher as tf.Tensor3D };
      const { loss, compression, expansion } = simDinoLoss(pair, options);
      const parts = { loss, comp: compression, expa: expansion };
      return { value: parts[part], ...parts };
    });
    return { ...outputs, [`grad_${part}`]: gradients['student'] };
  });
  return Object.assign({}, ...found) as NamedTensors;
}

function expectScalar(fixture: FixtureCase, name: string, { data: [actual] }: Outputs[string]): void {
  const maxRel = fixture.tolerance('scalar');
  expect(actual, name).toBeAllclose(fixture.scalar(name), { maxRel, atol: SCALAR_FLOOR });
}

function expectGradient(fixture: FixtureCase, name: string, group: string, actual: Outputs[string]): void {
  const maxRel = fixture.tolerance(group);
  expect(actual, name).toBeAllclose(fixture.tensor(name), { maxRel, atol: GRADIENT_FLOOR });
}

const isV2 = (json: Record<string, unknown>): boolean =>
  (json['source'] as { file: string }).file.startsWith('simdinov2');

/** Whether a fixture is one of named cases at every eps and of both kinds of expansion. */
export const hasCases = (json: Record<string, unknown>): boolean => 'cases' in (json['hyper'] as object);

/** The runs of a `ssl/loss-mcr` fixture of named cases; `key` is how its scalars start. */
export function mcrRuns({ json, name }: FixtureCase): { name: string; type: number; eps: number; key: string }[] {
  const runs = Object.keys(json['scalars'] as object).flatMap((scalar) => {
    const found = /^(.+)\/t(\d)\/e([\d.]+)\/loss$/.exec(scalar);
    if (found === null) return [];
    return [{ name: found[1], type: Number(found[2]), eps: Number(found[3]), key: scalar.replace(/\/loss$/, '') }];
  });
  expect(runs.length, name).toBeGreaterThan(0);
  return runs;
}

/** Every run of a `ssl/loss-mcr` fixture of named cases. */
export function mcrCases(fixture: FixtureCase): GoldenFunction[] {
  const { hyper, scalars } = fixture.json as { hyper: Record<string, number>; scalars: Record<string, unknown> };
  return mcrRuns(fixture).map(({ name, type, eps, key }) => {
    const options: SimDinoOptions = {
      codingRateEps: eps,
      compressionWeight: hyper['coeff'],
      expansionFeatures: WHOSE[type],
      similarity: isV2(fixture.json) ? 'dot' : 'cosine',
    };
    return {
      name: key,
      inputs: { student: fixture.tensor(`${name}/student`), teacher: fixture.tensor(`${name}/teacher`) },
      compute: ({ student, teacher }) => {
        const globals = tf.slice(student as tf.Tensor3D, [0, 0, 0], [2, -1, -1]);
        const pair = { student: globals, teacher: teacher as tf.Tensor3D };
        const [unitStudent, unitTeacher] = [student, teacher].map((x) => normalize(x as tf.Tensor3D));
        return {
          ...lossAndGradients({ student, teacher }, options, PARTS),
          global_comp: simDinoLoss(pair, options).compression,
          // The authors' flag normalises the features first.
          normalized_false: simDinoLoss({ student: unitStudent, teacher: unitTeacher }, options).loss,
        };
      },
      check: (found) => {
        for (const part of PARTS) expectScalar(fixture, `${key}/${part}`, found[part]);
        for (const part of ['global_comp', 'normalized_false']) {
          if (`${key}/${part}` in scalars) expectScalar(fixture, `${key}/${part}`, found[part]);
        }
        expectGradient(fixture, `${key}/grad_loss`, name, found['grad_loss']);
        expectGradient(fixture, `${key}/grad_expa`, name, found['grad_expa']);
        expectGradient(fixture, `${name}/grad_comp`, name, found['grad_comp']);
      },
    };
  });
}

/** Every run of a `ssl/loss-mcr` fixture without named cases: both versions of the loss on the same features. */
export function mcrVersionCases(fixture: FixtureCase): GoldenFunction[] {
  const { hyper, scalars } = fixture.json as { hyper: Record<string, number>; scalars: Record<string, unknown> };
  const cases = Object.keys(scalars).flatMap((scalar): GoldenFunction[] => {
    const [, name, eps, version] = /^(.+)\/e([\d.]+)\/loss_v([12])$/.exec(scalar) ?? [];
    if (name === undefined) return [];
    const at = `${name}/e${eps}`;
    const options: SimDinoOptions = {
      codingRateEps: Number(eps),
      compressionWeight: hyper['coeff'],
      expansionFeatures: WHOSE[hyper['expa_type']],
      similarity: version === '1' ? 'cosine' : 'dot',
    };
    return [
      {
        name: `${at}, version ${version}`,
        inputs: { student: fixture.tensor(`${name}/student`), teacher: fixture.tensor(`${name}/teacher`) },
        compute: (inputs) => lossAndGradients(inputs, options, ['loss']),
        check: (found) => {
          expectScalar(fixture, scalar, found['loss']);
          expectScalar(fixture, `${at}/comp`, found['comp']);
          expectScalar(fixture, `${at}/expa`, found['expa']);
          const gradient = `${at}/grad_loss_v${version}`;
          if (gradient in fixture.tensors()) expectGradient(fixture, gradient, name, found['grad_loss']);
        },
      },
    ];
  });
  expect(cases.length, fixture.name).toBeGreaterThan(0);
  return cases;
}
