import type { FirstGenerationConfig } from './config/types.js';
import { dinoMethod } from './dino/method.js';
import { simDinoMethod } from './simdino/method.js';
import type { Method } from './training/method.js';

/** The method of a recipe that learns from CLS tokens alone. */
export function methodOf(config: FirstGenerationConfig): Method {
  switch (config.recipe) {
    case 'simdino':
      return simDinoMethod(config);
    case 'dino':
      return dinoMethod(config);
  }
}
