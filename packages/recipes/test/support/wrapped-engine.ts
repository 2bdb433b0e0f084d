import type { Engine, Executable } from '@selfsup/compile';
import { onnxruntimeEngine } from '@selfsup/engine-onnxruntime';

/** The onnxruntime engine with executables that behave in another way. */
export async function wrappedEngine(wrap: (executable: Executable) => Partial<Executable>): Promise<Engine> {
  const engine = await onnxruntimeEngine();
  return {
    name: engine.name,
    composites: engine.composites,
    devices: () => engine.devices(),
    createStore: () => engine.createStore(),
    async compile(graph, options) {
      const executable = await engine.compile(graph, options);
      return {
        store: executable.store,
        run: (batch) => executable.run(batch),
        dispose: () => executable.dispose(),
        ...wrap(executable),
      };
    },
    dispose: () => engine.dispose(),
  };
}
