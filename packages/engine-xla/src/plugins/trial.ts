import { fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { NamedValues } from '../pjrt/named-values.js';
import { PLUGINS, type PluginSpec } from './catalog.js';
import { interruptible } from './interrupted.js';
import { driverProblem, nvidiaSystem, type NvidiaSystem, type Problem } from './nvidia.js';
import type { PluginLibrary } from './installed.js';
import { systemRuntime } from './system-libraries.js';

/** What a trial says of a plugin that takes too long. */
const LATE = 'the plugin did not start';

/** A device of a plugin. */
export interface TriedDevice {
  /** E.g. `NVIDIA H100 80GB HBM3`. */
  readonly name: string;
  /** Memory the plugin may use; null where it does not tell. */
  readonly memoryBytes: number | null;
}

/** What the trying process is told. */
export interface TrialTask {
  readonly path: string;
  readonly preload: readonly string[];
  readonly options: NamedValues;
}

/** What it sends back. */
export type TrialReport =
  | {
      readonly works: true;
      readonly platform: string;
      readonly platformVersion: string;
      /** Of the PJRT API. */
      readonly apiVersion: string;
      readonly devices: readonly TriedDevice[];
    }
  | { readonly works: false; readonly says: string };

/** What became of a trial: it works, or why not and what to do. */
export type Trial =
  | Extract<TrialReport, { works: true }>
  | {
      readonly works: false;
      /** `failed`: the plugin is broken or does not fit; anything else: this machine lacks something. */
      readonly reason: Problem['kind'] | 'failed';
      readonly says: string;
      readonly fix: string;
    };

export interface TrialOptions {
  /** Seconds after which the process is killed. */
  readonly seconds?: number;
  readonly signal?: AbortSignal | undefined;
  /** What is known of NVIDIA GPUs here; looked up by default. */
  readonly system?: NvidiaSystem;
}

/** Long enough for the first start of a CUDA plugin with eight GPUs. */
const DEFAULT_SECONDS = 120;

/** The built entry, also when this file is read from the sources: Node cannot run those. */
function childPath(): string {
  const manifest = createRequire(import.meta.url).resolve('@selfsup/engine-xla/package.json');
  return join(dirname(manifest), 'dist', 'trial-child.js');
}

/** Last line a process wrote that is no stack trace. */
const lastLine = (text: string): string =>
  text
    .trim()
    .split('\n')
    .findLast((line) => /^\S/.test(line)) ?? '';

function runChild(task: TrialTask, seconds: number, signal?: AbortSignal): Promise<TrialReport> {
  return new Promise((resolve, reject) => {
    // A process of its own: native code that crashes takes its process with it.
    const child = fork(childPath(), {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
      killSignal: 'SIGKILL',
      ...(signal === undefined ? {} : { signal }),
    });
    let report: TrialReport | undefined;
    let stderr = '';
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, seconds * 1000);
    timer.unref();
    child.stderr?.on('data', (data: Buffer) => (stderr = (stderr + data.toString()).slice(-4000)));
    child.on('message', (message) => (report = message as TrialReport));
    child.on('error', reject);
    child.on('close', (code, killedBy) => {
      clearTimeout(timer);
      if (report !== undefined) return resolve(report);
      const said = lastLine(stderr);
      const ended = `the plugin ended its process (${killedBy ?? `exit ${code}`})${said === '' ? '' : `: ${said}`}`;
      resolve({ works: false, says: late ? `${LATE} within ${seconds} s` : ended });
    });
    // A process that is gone says so itself.
    child.send(task, () => undefined);
  });
}

/** What an NVIDIA plugin lacks here; undefined when it is something else that failed. */
function lacking(
  { name, nvidia }: PluginSpec,
  preloaded: number,
  said: string,
  system: NvidiaSystem,
): Problem | undefined {
  if (nvidia === undefined) return undefined;
  const problem = driverProblem(nvidia, system);
  if (problem !== undefined) return problem;
  const { missing } = systemRuntime(nvidia);
  if (preloaded < nvidia.libraries.length && missing.length > 0) {
    const fix = `get them with "selfsup engine add ${name} --runtime wheels", or install CUDA ${nvidia.cuda}, cuDNN 9 and NCCL 2`;
    return { kind: 'no-runtime', says: `runtime libraries are missing: ${missing.join(', ')}`, fix };
  }
  if (!/No visible GPU|NO_DEVICE/i.test(said)) return undefined;
  const fix = 'look at nvidia-smi and CUDA_VISIBLE_DEVICES; in a container, start it with its GPUs';
  return { kind: 'no-device', says: 'the plugin sees no GPU', fix };
}

/** The message of an error and its advice apart. */
function failure(said: string, spec: PluginSpec | undefined): Trial {
  const [says, fix] = said.split('. Fix: ');
  const busy = said.startsWith(LATE) ? 'try again when the machine is less busy, else ' : '';
  const again =
    spec === undefined
      ? `${busy}try another build of the plugin`
      : `${busy}add it again: "selfsup engine remove ${spec.name}", then "selfsup engine add ${spec.name}"`;
  return { works: false, reason: 'failed', says, fix: fix?.replace(/\.$/, '') ?? again };
}

/**
 * Starts a plugin in a process of its own and lists its devices, so that a plugin that crashes or hangs does no harm.
 *
 * @param library - From {@link pluginLibrary}; with a name that is not in the catalogue, any plugin.
 * @throws SslError `INTERRUPTED`
 */
export async function tryPlugin(library: PluginLibrary, options: TrialOptions = {}): Promise<Trial> {
  const { seconds = DEFAULT_SECONDS, signal, system = nvidiaSystem() } = options;
  const { name, path, preload } = library;
  const spec = Object.hasOwn(PLUGINS, name) ? PLUGINS[name] : undefined;
  const task = { path, preload, options: spec?.trial ?? {} };
  const report = await interruptible('tryPlugin', signal, () => runChild(task, seconds, signal));
  if (report.works) return report;
  const problem = spec && lacking(spec, preload.length, report.says, system);
  if (problem === undefined) return failure(report.says, spec);
  return { works: false, reason: problem.kind, says: problem.says, fix: problem.fix };
}
