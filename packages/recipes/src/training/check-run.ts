import { vitConfig } from '@selfsup/backbone-vit';
import { SslError } from '@selfsup/core';
import type { RecipeConfig } from '../config/types.js';
import { recipeOf } from '../recipe-of.js';
import { runLength, type RunLength } from './schedules.js';

/** Pictures are loaded as red, green and blue. */
const CHANNELS = 3;

/**
 * What would be refused once a step is made, found out before anything is loaded, compiled or written.
 *
 * @returns the run's length on so many pictures
 * @throws SslError `BAD_OPTION`
 */
export function checkRun(config: RecipeConfig, datasetSize: number): RunLength {
  const { channels } = vitConfig(config.arch, config.backbone);
  if (channels !== CHANNELS) {
    throw new SslError('BAD_OPTION', {
      where: 'recipes.checkRun',
      expected: `backbone.channels ${CHANNELS}: pictures are red, green and blue`,
      got: `${channels}`,
      fix: 'leave backbone.channels out',
      details: { channels },
    });
  }
  const length = runLength(config, datasetSize);
  recipeOf(config).schedule(length).scalars(0);
  return length;
}
