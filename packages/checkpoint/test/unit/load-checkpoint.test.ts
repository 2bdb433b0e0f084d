import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  exportBackbone,
  loadCheckpoint,
  openRun,
  readSafetensors,
  selectParameters,
  writeSafetensors,
} from '../../src/index.js';
import { temporaryFolder } from '../support/folders.js';
import { stateOf } from '../support/states.js';

async function madeRun(): Promise<string> {
  const directory = join(await temporaryFolder(), 'run');
  const run = await openRun(directory, { config: { arch: 'vit_tiny' } });
  await run.save({ step: 2, seed: 0, state: stateOf(2) });
  await run.save({ step: 4, seed: 0, state: stateOf(4) });
  await run.close();
  return directory;
}

describe('loadCheckpoint', () => {
  test('takes a run, one of its checkpoints, or a file', async () => {
    const directory = await madeRun();
    expect(await (await loadCheckpoint(directory)).read()).toEqual(stateOf(4));
    expect(await (await loadCheckpoint(join(directory, 'checkpoints/step-2'))).read()).toEqual(stateOf(2));
    const bare = await loadCheckpoint(join(directory, 'checkpoints/step-4/state.safetensors'));
    expect(bare).toMatchObject({ manifest: undefined, metadata: { step: '4' }, notes: [] });
    expect(await bare.read()).toEqual(stateOf(4));
  });

  test('reads only what is asked for', async () => {
    const checkpoint = await loadCheckpoint(await madeRun());
    const teacher = await checkpoint.read('teacher.');
    expect(Object.keys(teacher)).toEqual(['teacher.backbone.blocks.0.norm1.weight']);
    expect(Object.keys(selectParameters(teacher, 'teacher.backbone.'))).toEqual(['blocks.0.norm1.weight']);
    expect(Object.keys(checkpoint.specs)).toHaveLength(5);
  });

  test('a damaged checkpoint that was named is an error', async () => {
    const directory = await madeRun();
    const state = join(directory, 'checkpoints/step-4/state.safetensors');
    const bytes = readFileSync(state);
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(state, bytes);
    await expect(loadCheckpoint(join(directory, 'checkpoints/step-4'))).rejects.toThrow(
      /falls back on an older checkpoint/,
    );
  });

  test('a checkpoint of a later format says that it needs a newer package', async () => {
    const directory = await madeRun();
    const path = join(directory, 'checkpoints/step-4/manifest.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"formatVersion": 1', '"formatVersion": 2'));
    await expect(loadCheckpoint(join(directory, 'checkpoints/step-4'))).rejects.toThrow(
      /format version 2, which needs a newer/,
    );
  });

  test('a path with nothing there', async () => {
    const path = join(await temporaryFolder(), 'none');
    await expect(loadCheckpoint(path)).rejects.toMatchObject({ code: 'CHECKPOINT_MISSING', details: { path } });
  });

  test.each<[string, (folder: string) => string, string]>([
    ['a folder of something else', (folder) => folder, 'pass the folder given to --out'],
    [
      'a run before its first checkpoint',
      (folder) => {
        mkdirSync(join(folder, 'checkpoints'));
        return folder;
      },
      'train until the first checkpoint is saved',
    ],
    [
      'a PyTorch file',
      (folder) => {
        writeFileSync(join(folder, 'checkpoint.pth'), 'PK\x03\x04........');
        return join(folder, 'checkpoint.pth');
      },
      'convert it to safetensors first',
    ],
  ])('%s', async (_, make, fix) => {
    const loaded = loadCheckpoint(make(await temporaryFolder()));
    await expect(loaded).rejects.toMatchObject({ code: 'CHECKPOINT_UNREADABLE' });
    await expect(loaded).rejects.toThrow(fix);
  });
});

describe('exportBackbone', () => {
  test('writes bare names with the facts of the run', async () => {
    const directory = await madeRun();
    const out = join(directory, 'teacher.safetensors');
    const { bytes } = await exportBackbone({ checkpoint: directory, from: 'teacher', out });
    expect(bytes).toBe(readFileSync(out).length);
    const { tensors, metadata } = await readSafetensors(out);
    expect(tensors).toEqual({
      'blocks.0.norm1.weight': { shape: [2, 16], dtype: 'F32', data: new Float32Array(32).fill(4) },
    });
    expect(metadata).toEqual({ format: 'pt', network: 'teacher', step: '4', config: '{"arch":"vit_tiny"}' });
    expect(await (await loadCheckpoint(out)).read()).toHaveProperty(['blocks.0.norm1.weight']);
  });

  test('a network that is not there is an error that names what is', async () => {
    const path = join(await temporaryFolder(), 'x.safetensors');
    await writeSafetensors(path, {
      'student.backbone.norm.weight': { shape: [1], dtype: 'f32', data: new Float32Array(1) },
    });
    const exported = exportBackbone({ checkpoint: path, from: 'teacher', out: `${path}.out` });
    await expect(exported).rejects.toMatchObject({ code: 'NO_PARAMS_MATCHED' });
    await expect(exported).rejects.toThrow('student.backbone.');
  });
});
