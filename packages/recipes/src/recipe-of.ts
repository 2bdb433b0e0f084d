import type { RecipeConfig } from './config/types.js';
import { distillRecipe } from './distill/recipe.js';
import { maskedDistillationRecipe } from './second-generation/recipe.js';
import { distillationRecipe, type Recipe } from './training/recipe.js';

/** The recipe of a configuration. @throws SslError `UNKNOWN_NAME` or `BAD_OPTION` */
export function recipeOf(config: RecipeConfig): Recipe {
  switch (config.recipe) {
    case 'simdino':
    case 'dino':
      return distillationRecipe(config);
    case 'dinov2':
    case 'simdinov2':
      return maskedDistillationRecipe(config);
    case 'distill':
      return distillRecipe(config);
  }
}
