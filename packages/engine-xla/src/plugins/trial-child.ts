/** Entry of the process that tries a plugin: gets a {@link TrialTask} from its parent, sends a {@link TrialReport}. */
import { Client } from '../pjrt/client.js';
import { Plugin } from '../pjrt/plugin.js';
import { preloadLibraries } from './preload.js';
import type { TrialReport, TrialTask } from './trial.js';

async function tryTask({ path, preload, options }: TrialTask): Promise<TrialReport> {
  await preloadLibraries(preload);
  const plugin = await Plugin.load(path);
  const client = await Client.create(plugin, options);
  const devices = client.devices.map(({ kind, memory }) => ({ name: kind, memoryBytes: memory()?.limit ?? null }));
  const { platform, platformVersion } = client;
  const { major, minor } = plugin.version;
  client.dispose();
  return { works: true, platform, platformVersion, apiVersion: `${major}.${minor}`, devices };
}

process.once('message', (task: TrialTask) => {
  tryTask(task)
    .catch((problem: unknown): TrialReport => {
      return { works: false, says: problem instanceof Error ? problem.message : String(problem) };
    })
    // The plugin's threads would keep the process.
    .then((report) => process.send?.(report, () => process.exit(0)))
    .catch(() => process.exit(1));
});
