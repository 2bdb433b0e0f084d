import type { SecondGenerationConfig } from '../config/types.js';
import { dinov2Method } from '../dinov2/method.js';
import { simdinov2Method } from '../simdinov2/method.js';
import type { MaskedMethod } from './method.js';

/** The method of a recipe that learns from masked patches too. */
export function maskedMethodOf(config: SecondGenerationConfig): MaskedMethod {
  switch (config.recipe) {
    case 'dinov2':
      return dinov2Method(config);
    case 'simdinov2':
      return simdinov2Method(config);
  }
}
