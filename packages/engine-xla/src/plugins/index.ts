export { cacheDirectory } from './cache.js';
export {
  architecturesOf,
  downloadSize,
  PLUGINS,
  thisMachine,
  wheelsFor,
  type Machine,
  type PluginSpec,
} from './catalog.js';
export { addPlugin, type AddOptions } from './install.js';
export {
  findPlugin,
  installedPlugin,
  installedPlugins,
  pluginLibrary,
  removePlugin,
  type InstalledPlugin,
  type PluginLibrary,
  type RuntimeSource,
} from './installed.js';
export { driverProblem, nvidiaSystem, type NvidiaSystem } from './nvidia.js';
export { preloadLibraries } from './preload.js';
export { tryPlugin, type Trial, type TrialOptions, type TriedDevice } from './trial.js';
export { sizeText } from './wheels.js';
