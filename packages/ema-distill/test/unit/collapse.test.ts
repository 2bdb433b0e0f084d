import { Rng } from '@selfsup/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { dinoLoss, emaUpdate, meanEntropy, projectionHead } from '../../src/index.js';
import { tidied, toTensor, toTensors } from '../tensors.js';

const IMAGES = 24;
const WIDTH = 6;
const PROTOTYPES = 12;
const STEPS = 150;
const LEARNING_RATE = 0.1;
const TEACHER_MOMENTUM = 0.98;
/** The published start is so small that a few steps of plain descent would not leave it. */
const START_SCALE = 6;

const head = projectionHead({ inputWidth: WIDTH, hiddenWidth: 16, outputWidth: 8, prototypes: PROTOTYPES });
const trained = Object.keys(head.parameterSpecs()).filter((name) => !head.frozenParameters.includes(name));

type Parameters = Record<string, tf.Tensor>;

function start(rng: Rng): Parameters {
  return Object.fromEntries(
    Object.entries(toTensors(head.init(rng))).map(([name, value]) => {
      return [name, name.startsWith('mlp') ? tf.mul(value, START_SCALE) : value];
    }),
  );
}

/** Four crops of every image, crop-major; images are of three kinds. */
function crops(rng: Rng): tf.Tensor {
  const data = Float32Array.from({ length: 4 * IMAGES * WIDTH }, (_, i) => {
    const image = Math.floor(i / WIDTH) % IMAGES;
    return (i % WIDTH === image % 3 ? 2 : 0) + rng.normal(0, 0.3);
  });
  return toTensor({ shape: [4 * IMAGES, WIDTH], data });
}

function logits(params: Parameters, x: tf.Tensor, count: number): tf.Tensor {
  const rows = tf.slice(x, [0, 0], [count * IMAGES, WIDTH]);
  return tf.reshape(head.apply(params, rows), [count, IMAGES, PROTOTYPES]);
}

/** Entropies of the targets of a batch, in units of log K. */
interface Entropies {
  /** Of single images, averaged: 1 when targets say nothing. */
  readonly perImage: number;
  /** Of the average over images: 0 when all images get the same prototype. */
  readonly overall: number;
}

interface Settings {
  readonly centerMomentum: number;
  readonly teacherTemperature: number;
}

/** Trains a small head alone with DINO's loss and plain gradient descent; returns what became of the targets. */
function train(settings: Settings): Entropies {
  return tidied(() => {
    const rng = Rng.of(1, 'collapse');
    let student = start(rng);
    let teacher = student;
    let center: tf.Tensor = tf.zeros([1, PROTOTYPES]);
    let targets: tf.Tensor = tf.scalar(NaN);
    for (let step = 0; step < STEPS; step++) {
      const x = crops(rng);
      const input = { ...settings, teacher: logits(teacher, x, 2), center };
      const gradients = tf.grads((...values: tf.Tensor[]) => {
        const params = { ...student, ...Object.fromEntries(trained.map((name, i) => [name, values[i]])) };
        return dinoLoss({ ...input, student: logits(params, x, 4) }).loss;
      })(trained.map((name) => student[name]));
      const moved = trained.map((name, i) => {
        return [name, tf.sub(student[name], tf.mul(gradients[i], LEARNING_RATE))] as const;
      });
      ({ center, targets } = dinoLoss({ ...input, student: input.teacher }));
      student = { ...student, ...Object.fromEntries(moved) };
      teacher = emaUpdate(teacher, student, TEACHER_MOMENTUM, 1 - TEACHER_MOMENTUM);
    }
    const inUnits = (q: tf.Tensor): number => meanEntropy(q).dataSync()[0] / Math.log(PROTOTYPES);
    return { perImage: inUnits(targets), overall: inUnits(tf.mean(targets, [0, 1])) };
  });
}

describe('centring and sharpening (Caron et al. 2021, figure 7)', () => {
  it('together keep images apart', () => {
    const { perImage, overall } = train({ centerMomentum: 0.9, teacherTemperature: 0.04 });
    expect(overall).toBeGreaterThan(0.3);
    expect(overall - perImage).toBeGreaterThan(0.1);
  });

  it('without centring every image gets the same prototype', () => {
    const { overall } = train({ centerMomentum: 1, teacherTemperature: 0.04 });
    expect(overall).toBeLessThan(0.01);
  });

  it('without sharpening every image gets all prototypes alike', () => {
    const { perImage } = train({ centerMomentum: 0.9, teacherTemperature: 0.2 });
    expect(perImage).toBeGreaterThan(0.99);
  });
});
