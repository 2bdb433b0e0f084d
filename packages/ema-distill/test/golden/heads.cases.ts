import type { FixtureCase } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { below, type GoldenFunction, gradientsOf, prefixed, under } from '@selfsup/test-kit/golden-case';
import { projectionHead, type ProjectionHead } from '../../src/index.js';

/** The head of a fixture, from the authors' options. */
export function headOf({ json }: FixtureCase): ProjectionHead {
  const { hyper, source } = json;
  const simdino = source.repo.includes('SimDINO');
  const prototypes = simdino && (hyper.remove_last_layer ?? true) ? {} : { prototypes: hyper.out_dim };
  // DINOv2's head has no such option: its norms are trained.
  const norms = hyper.norm_last_layer === true ? 'frozen' : 'trainable';
  return projectionHead({
    inputWidth: hyper.in_dim,
    hiddenWidth: hyper.hidden_dim,
    outputWidth: hyper.bottleneck_dim,
    layers: Math.max(hyper.nlayers, 1),
    batchNorm: hyper.use_bn ?? false,
    normalization: (hyper.normalize ?? true) ? 'unit' : 'none',
    prototypeNorms: norms,
    ...prototypes,
  });
}

/** Output and gradients of the head of a `ssl/heads` fixture. */
export function headCases(fixture: FixtureCase): GoldenFunction[] {
  const head = headOf(fixture);
  const { input, W, output, grad_input } = below(fixture, '');
  const gradients = below(fixture, 'grad/');
  return [
    {
      name: 'output and gradients',
      inputs: { ...prefixed('param/', below(fixture, 'param/')), input, W },
      compute: ({ input, W, ...rest }) => {
        const params = under('param/', rest);
        const { outputs, gradients } = gradientsOf({ ...params, input }, () => {
          const output = head.apply(params, input);
          return { value: tf.sum(tf.mul(output, W)), output };
        });
        const { input: grad_input, ...grads } = gradients;
        return { output: outputs.output, L: outputs.value, grad_input, ...prefixed('grad/', grads) };
      },
      check: (found) => {
        expect(found['output']).toBeAllclose(output, { maxRel: fixture.tolerance('output') });
        const rtol = fixture.tolerance('scalar');
        expect(found['L'].data[0]).toBeAllclose(fixture.scalar('L'), { rtol, atol: 0 });
        expect(found['grad_input']).toBeAllclose(grad_input, { maxRel: fixture.tolerance('grad_input') });
        for (const [name, gradient] of Object.entries(gradients)) {
          expect(found[`grad/${name}`], name).toBeAllclose(gradient, { maxRel: fixture.tolerance('grad') });
        }
      },
    },
  ];
}
