import { type FixtureCase, fixtureCases } from '@selfsup/test-kit';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { projectionHead, type ProjectionHead } from '../../src/index.js';
import { below, tidied, toHost, toTensor, toTensors } from '../tensors.js';

/** The head of a fixture, from the authors' options. */
function headOf({ json }: FixtureCase): ProjectionHead {
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

describe.each(fixtureCases('ssl/heads'))('$name', (fixture) => {
  const head = headOf(fixture);
  const params = below(fixture, 'param/');

  it('has the parameters of the state dict', () => {
    const shapes = Object.fromEntries(Object.entries(head.parameterSpecs()).map(([name, { shape }]) => [name, shape]));
    expect(shapes).toEqual(Object.fromEntries(Object.entries(params).map(([name, { shape }]) => [name, shape])));
    // SimDINO's own head keeps the option, but has nothing to freeze.
    expect(head.frozenParameters).toEqual(fixture.json['frozen']);
  });

  it('gives the same output and gradients', () => {
    tidied(() => {
      const names = Object.keys(params);
      const input = toTensor(fixture.tensor('input'));
      const weights = toTensor(fixture.tensor('W'));
      let output: tf.Tensor | undefined;
      const { value, grads } = tf.valueAndGrads((x: tf.Tensor, ...values: tf.Tensor[]) => {
        output = tf.keep(head.apply(Object.fromEntries(names.map((name, i) => [name, values[i]])), x));
        return tf.sum(tf.mul(output, weights));
      })([input, ...Object.values(toTensors(params))]);

      expect(output && toHost(output)).toBeAllclose(fixture.tensor('output'), { maxRel: fixture.tolerance('output') });
      output?.dispose();
      const rtol = fixture.tolerance('scalar');
      expect(value.dataSync()[0]).toBeAllclose(fixture.scalar('L'), { rtol, atol: 0 });
      const maxRel = fixture.tolerance('grad_input');
      expect(toHost(grads[0])).toBeAllclose(fixture.tensor('grad_input'), { maxRel });
      const expected = below(fixture, 'grad/');
      expect(Object.keys(expected).sort()).toEqual(names.filter((n) => !head.frozenParameters.includes(n)).sort());
      for (const [name, tensor] of Object.entries(expected)) {
        const found = toHost(grads[1 + names.indexOf(name)]);
        expect(found, name).toBeAllclose(tensor, { maxRel: fixture.tolerance('grad') });
      }
    });
  });
});
