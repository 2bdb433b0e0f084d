import { createRequire } from 'node:module';
import path from 'node:path';
import type { Engine } from './engine/engine.js';
import { tfjsEngine as engineOf, type TfjsEngineOptions } from './tfjs-engine/engine.js';

export type { TfjsEngineOptions } from './tfjs-engine/engine.js';
