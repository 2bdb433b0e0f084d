import { RECIPES } from '@selfsup/recipes';
import { describe, expect, it } from 'vitest';
import { EXAMPLES } from '../../src/command-line/examples.js';
import { inProcess, jsonOf } from './in-process.js';

describe('wrong use', () => {
  it.each([
    [
      'an unknown option before a missing one',
      ['train', 'simdino', '--bacth-size', '3'],
      /did you mean "--batch-size"/,
    ],
    ['an option of other programs', ['train', 'simdino', '--epochs', '3'], /use --set length\.epochs=N/],
    ['an option like no other', ['train', 'simdino', '--bogus'], /Fix: see selfsup train --help/],
    ['missing options, by name', ['eval', 'knn'], /^selfsup\.eval\.knn: expected --checkpoint PATH: .*--data DIR: /],
    ['a missing argument', ['train'], /expected RECIPE: simdino, dino, .*, got none/],
    ['a missing subcommand', ['show'], /^selfsup\.show: expected one of neighbours, /],
    ['an unknown subcommand', ['eval', 'kn'], /did you mean "knn"/],
    ['an unknown command', ['trian'], /^selfsup: expected one of .*did you mean "train"/],
    ['a choice', ['train', 'simdino', '--data', '.', '--init-part', 'backbon'], /did you mean "backbone"/],
    ['an option without its value', ['train', 'simdino', '--json', '--data'], /a value after --data/],
    ['too many words', ['report', 'my', 'run'], /put what has spaces between quotes/],
    ['a plugin that is not there', ['bench', 'step', '--plugin', 'cpuu'], /did you mean "cpu"/],
  ])('%s: exit 2 and one line with the fix', async (_, args, says) => {
    const ended = await inProcess(args.includes('--json') ? args : [...args, '--json']);
    expect(ended.code).toBe(2);
    expect(ended.stderr.trim().split('\n')).toHaveLength(1);
    expect(ended.stderr).toMatch(says);
    expect(ended.stderr).toMatch(/Fix: .*\.$/m);
    expect(jsonOf(ended)).toHaveProperty('error.code');
  });
});

describe('help', () => {
  it('ends with examples, and lists every preset', async () => {
    const ended = await inProcess(['train', '--help']);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toContain(EXAMPLES['train']);
    for (const [recipe, { presets, defaultPreset }] of Object.entries(RECIPES)) {
      const line = EXAMPLES['train'].split('\n').find((text) => text.trim().split(/\s+/)[0] === recipe) ?? '';
      const named = line.trim().split(/\s{2,}/)[1];
      expect(named.replace(' (default)', '').split(', ').sort(), recipe).toEqual(Object.keys(presets).sort());
      expect(line).toContain(`${defaultPreset} (default)`);
    }
  });

  it('--version prints the version alone', async () => {
    const ended = await inProcess(['--version']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
