import '@tensorflow/tfjs';
import { normalize } from '@selfsup/ops';
import { type FixtureCase, fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { collapsedExpansion, maxExpansion, simDinoLoss, type SimDinoOptions } from '../../src/index.js';
import { gradient, type Host, lossOf, part, tensor, values } from '../support.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const WHOSE = ['student', 'mean-with-teacher'] as const;

/** Numbers near zero are as good as the terms they are the difference of. */
const SCALAR_FLOOR = 1e-6;

function expectScalar(fixture: FixtureCase, name: string, actual: number): void {
  expect(actual, name).toBeAllclose(fixture.scalar(name), {
    maxRel: fixture.tolerance('scalar'),
    atol: SCALAR_FLOOR,
  });
}

function expectGradient(fixture: FixtureCase, name: string, group: string, actual: Float32Array): void {
  const expected = fixture.tensor(name);
  // A gradient that is zero in exact arithmetic is stored as rounding noise.
  expect(actual, name).toBeAllclose(expected.data as Float64Array, { maxRel: fixture.tolerance(group), atol: 1e-7 });
}

const isV2 = (json: Record<string, unknown>): boolean =>
  (json['source'] as { file: string }).file.startsWith('simdinov2');

describe.each(fixtureCases('ssl/loss-mcr', (json) => 'cases' in json['hyper']))('$name', (fixture) => {
  const { hyper, scalars } = fixture.json as { hyper: Record<string, number>; scalars: Record<string, unknown> };
  const similarity = isV2(fixture.json) ? 'dot' : 'cosine';
  const runs = Object.keys(scalars).flatMap((key) => {
    const found = /^(.+)\/t(\d)\/e([\d.]+)\/loss$/.exec(key);
    return found === null
      ? []
      : [{ name: found[1], type: Number(found[2]), eps: Number(found[3]), key: key.slice(0, -5) }];
  });
  expect(runs.length).toBeGreaterThan(0);

  it.each(runs)('$key', ({ name, type, eps, key }) => {
    const student = fixture.tensor(`${name}/student`);
    const teacher = fixture.tensor(`${name}/teacher`);
    const options: SimDinoOptions = {
      codingRateEps: eps,
      compressionWeight: hyper['coeff'],
      expansionFeatures: WHOSE[type],
      similarity,
    };
    const { loss, compression, expansion } = lossOf(student, teacher, options);
    expectScalar(fixture, `${key}/loss`, loss);
    expectScalar(fixture, `${key}/comp`, compression);
    expectScalar(fixture, `${key}/expa`, expansion);
    expectGradient(fixture, `${key}/grad_loss`, name, gradient(part('loss', options), student, teacher));
    expectGradient(fixture, `${key}/grad_expa`, name, gradient(part('expansion', options), student, teacher));
    expectGradient(fixture, `${name}/grad_comp`, name, gradient(part('compression', options), student, teacher));

    if (`${key}/global_comp` in scalars) {
      const globals: Host = globalViews(student);
      expectScalar(fixture, `${key}/global_comp`, lossOf(globals, teacher, options).compression);
    }
    if (`${key}/normalized_false` in scalars) {
      // The authors' flag normalises the features first.
      const value = tf.tidy(() => {
        const [s, t] = [student, teacher].map((x) => normalize(tensor<tf.Tensor3D>(x)));
        return values(simDinoLoss({ student: s, teacher: t }, options).loss)[0];
      });
      expectScalar(fixture, `${key}/normalized_false`, value);
    }
  });

  it.each(runs.filter(({ name, type }) => type === 0 && (name === 'orthonormal' || name === 'identical')))(
    'closed form of $key',
    ({ name, eps, key }) => {
      const [, batchSize, width] = fixture.tensor(`${name}/student`).shape;
      const bound = name === 'orthonormal' ? maxExpansion : collapsedExpansion;
      expect(bound({ batchSize, width, codingRateEps: eps })).toBeAllclose(fixture.scalar(`${key}/expa`), {
        // Rows are unit to float32.
        maxRel: 1e-5,
      });
    },
  );
});

/** The two global views. */
function globalViews({ shape, data }: Host): Host {
  const [, batch, width] = shape;
  return { shape: [2, batch, width], data: Array.from({ length: 2 * batch * width }, (_, i) => data[i]) };
}

describe.each(fixtureCases('ssl/loss-mcr', (json) => !('cases' in json['hyper'])))('$name', (fixture) => {
  const { hyper, scalars } = fixture.json as { hyper: Record<string, number>; scalars: Record<string, unknown> };
  const runs = Object.keys(scalars).flatMap((key) => {
    const found = /^(.+)\/e([\d.]+)\/loss_v([12])$/.exec(key);
    return found === null
      ? []
      : [{ name: found[1], eps: Number(found[2]), version: found[3], at: `${found[1]}/e${found[2]}` }];
  });
  expect(runs.length).toBeGreaterThan(0);

  it.each(runs)('$at, version $version', ({ name, eps, version, at }) => {
    const student = fixture.tensor(`${name}/student`);
    const teacher = fixture.tensor(`${name}/teacher`);
    const options: SimDinoOptions = {
      codingRateEps: eps,
      compressionWeight: hyper['coeff'],
      expansionFeatures: WHOSE[hyper['expa_type']],
      similarity: version === '1' ? 'cosine' : 'dot',
    };
    const { loss, compression, expansion } = lossOf(student, teacher, options);
    expectScalar(fixture, `${at}/loss_v${version}`, loss);
    expectScalar(fixture, `${at}/comp`, compression);
    expectScalar(fixture, `${at}/expa`, expansion);
    const gradientName = `${at}/grad_loss_v${version}`;
    if (gradientName in fixture.tensors()) {
      expectGradient(fixture, gradientName, name, gradient(part('loss', options), student, teacher));
    }
  });
});
