import { mkdir, mkdtemp, readdir, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pickNamed, SslError } from '@selfsup/core';
import { cacheDirectory, diskError, pluginsFolder } from './cache.js';
import { isRuntime, PLUGINS, requireWheels, thisMachine, type Machine, type PluginSpec } from './catalog.js';
import { downloadWheel, findPip, type Pip, type PipOutput } from './download.js';
import { installedPlugin, RECORD, type InstalledPlugin, type PluginRecord, type RuntimeSource } from './installed.js';
import { interruptible } from './interrupted.js';
import { systemRuntime } from './system-libraries.js';
import { sha256Of, unpackWheel, verifyWheel } from './unpack.js';
import { sizeText, totalBytes, type Wheel } from './wheels.js';

export interface AddOptions {
  /**
   * Where NVIDIA's runtime libraries come from: `system`, an installed CUDA; `wheels`, downloaded too; `none`, left out;
   * `auto` (default): the system where it has them all, else downloaded.
   */
  readonly runtime?: RuntimeSource | 'auto';
  /** Wheels at hand, which are not downloaded; paths. */
  readonly wheels?: readonly string[];
  readonly cache?: string;
  /** Told what is going on, a line at a time. */
  readonly note?: (line: string) => void;
  /** Where pip's own messages go; nowhere by default. */
  readonly pipOutput?: PipOutput;
  /** Stops the work; nothing is left behind. */
  readonly signal?: AbortSignal;
  readonly machine?: Machine;
}

/** Unfinished work of processes that were killed is cleared away after a day. */
const STALE_MILLISECONDS = 24 * 3600 * 1000;

async function clearStale(plugins: string): Promise<void> {
  for (const name of await readdir(plugins)) {
    const path = join(plugins, name);
    const facts = name.startsWith('.') ? await stat(path).catch(() => undefined) : undefined;
    if (facts !== undefined && Date.now() - facts.mtimeMs > STALE_MILLISECONDS)
      await rm(path, { recursive: true, force: true });
  }
}

/** @throws SslError `ENGINE_MISSING` when the system was asked for and lacks something */
function runtimeSource(spec: PluginSpec, wanted: RuntimeSource | 'auto'): RuntimeSource {
  if (spec.nvidia === undefined) return 'none';
  if (wanted === 'wheels' || wanted === 'none') return wanted;
  const { missing } = systemRuntime(spec.nvidia);
  if (missing.length === 0) return 'system';
  if (wanted === 'auto') return 'wheels';
  throw new SslError('ENGINE_MISSING', {
    where: 'engine-xla.addPlugin',
    expected: `a CUDA ${spec.nvidia.cuda} on this system with all that ${spec.name} needs`,
    got: `no ${missing.join(', no ')} where the loader looks, nor in CUDA_HOME`,
    fix: `install CUDA ${spec.nvidia.cuda}, cuDNN 9 and NCCL 2, set CUDA_HOME, or leave --runtime out to download them`,
    details: { missing },
  });
}

/** Which of the wheels the files at hand are, by their hashes. @throws SslError `DATA_MISSING`, `BAD_DATA` */
async function wheelsAtHand(paths: readonly string[], wheels: readonly Wheel[]): Promise<ReadonlyMap<Wheel, string>> {
  const found = new Map<Wheel, string>();
  for (const path of paths) {
    const facts = await stat(path).catch(() => undefined);
    if (facts?.isFile() !== true) {
      throw new SslError('DATA_MISSING', {
        where: 'engine-xla.addPlugin',
        expected: `a file at ${path}`,
        got: facts === undefined ? 'nothing' : 'a folder or device',
        fix: `check --wheel; wanted are ${wheels.map(({ file }) => file).join(', ')}`,
        details: { path },
      });
    }
    const sha256 = await sha256Of(path);
    const wheel = wheels.find((one) => one.sha256 === sha256);
    if (wheel === undefined) {
      // A wheel of the right name says which hash was wanted.
      const named = wheels.find(({ file }) => file === basename(path));
      throw new SslError('BAD_DATA', {
        where: 'engine-xla.addPlugin',
        expected: named === undefined ? 'one of the wheels wanted' : `${named.file} with SHA-256 ${named.sha256}`,
        got: `${basename(path)} with SHA-256 ${sha256}`,
        fix: `get ${wheels.map(({ file, sha256: hash }) => `${file} (SHA-256 ${hash})`).join(', ')}`,
        details: { path, sha256 },
      });
    }
    found.set(wheel, path);
  }
  return found;
}

function announce(spec: PluginSpec, wheels: readonly Wheel[], atHand: ReadonlyMap<Wheel, string>): string | undefined {
  const download = wheels.filter((wheel) => !atHand.has(wheel));
  if (download.length === 0) return undefined;
  const runtime = download.filter(isRuntime);
  const also =
    runtime.length === 0
      ? ''
      : `, of which NVIDIA's runtime libraries ${sizeText(totalBytes(runtime))} (--runtime system takes those of an installed CUDA, --no-runtime none)`;
  return `${spec.name} ${spec.version}: downloading ${sizeText(totalBytes(download))}${also}`;
}

/** Writes a plugin's files into a folder. @returns bytes written */
async function fill(
  spec: PluginSpec,
  wheels: readonly Wheel[],
  atHand: ReadonlyMap<Wheel, string>,
  folders: { readonly files: string; readonly download: string },
  { note, pipOutput, signal }: AddOptions,
): Promise<number> {
  const named = new Set([spec.library, ...spec.tools]);
  const output = pipOutput === undefined ? {} : { output: pipOutput };
  const wanted = wheels.filter((wheel) => !atHand.has(wheel));
  let pip: Pip | undefined;
  let bytes = 0;
  for (const [i, wheel] of wheels.entries()) {
    await rm(folders.download, { recursive: true, force: true });
    await mkdir(folders.download);
    const options = { folder: folders.download, signal, wanted, ...output };
    let path = atHand.get(wheel);
    if (path === undefined) {
      note?.(`${i + 1}/${wheels.length} ${wheel.package} ${wheel.version} (${sizeText(wheel.bytes)})`);
      pip ??= await findPip(options);
      path = await downloadWheel(pip, wheel, options);
    }
    await verifyWheel(path, wheel, signal);
    bytes += await unpackWheel(path, wheel, folders.files, named, signal);
  }
  return bytes;
}

/** Whether everything a plugin needs was among what was unpacked. @throws SslError `BAD_DATA` */
async function checkComplete(spec: PluginSpec, runtime: RuntimeSource, files: string): Promise<void> {
  const wanted = [spec.library, ...spec.tools, ...(runtime === 'wheels' ? (spec.nvidia?.libraries ?? []) : [])];
  const missing: string[] = [];
  for (const file of wanted)
    if ((await stat(join(files, file)).catch(() => undefined)) === undefined) missing.push(file);
  if (missing.length === 0) return;
  throw new SslError('BAD_DATA', {
    where: 'engine-xla.addPlugin',
    expected: `wheels of ${spec.name} with ${missing.join(', ')}`,
    got: 'wheels without',
    fix: 'report this: the list of wheels in selfsup is wrong',
    details: { plugin: spec.name, missing },
  });
}

/** Puts a filled folder in its place; what was there before goes aside. */
async function replaceFolder(from: string, to: string, aside: string): Promise<void> {
  let replaced = true;
  await rename(to, aside).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw cause;
    replaced = false;
  });
  await rename(from, to).catch(async (cause: unknown) => {
    if (replaced) await rename(aside, to);
    throw cause;
  });
}

/** Fails before hours of downloading rather than after. @throws SslError `WRITE_FAILED` */
async function checkRoom(folder: string, wheels: readonly Wheel[]): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  // Unpacked they are larger than packed.
  const needed = totalBytes(wheels);
  if (bavail * bsize > needed) return;
  throw new SslError('WRITE_FAILED', {
    where: 'engine-xla.addPlugin',
    expected: `more than ${sizeText(needed)} free in ${folder}`,
    got: sizeText(bavail * bsize),
    fix: 'free some space, or set SELFSUP_CACHE to another folder',
    details: { folder, neededBytes: needed, freeBytes: bavail * bsize },
  });
}

const sameFiles = (record: PluginRecord, wheels: readonly Wheel[]): boolean =>
  record.wheels.length === wheels.length &&
  wheels.every(({ sha256 }) => record.wheels.some((one) => one.sha256 === sha256));

/**
 * Gets a plugin and puts it into the cache, as a whole or not at all. One that is there with the same files is left as it
 * is.
 *
 * @throws SslError `ENGINE_MISSING` (no wheel for this machine, no CUDA where it was asked for), `DOWNLOAD_FAILED`,
 * `BAD_DATA`, `DATA_MISSING`, `WRITE_FAILED`, `INTERRUPTED`
 */
export async function installPlugin(spec: PluginSpec, options: AddOptions = {}): Promise<InstalledPlugin> {
  const { cache = cacheDirectory(), machine = thisMachine(), note, signal } = options;
  const all = requireWheels(spec, machine);
  const runtime = runtimeSource(spec, options.runtime ?? 'auto');
  const wheels = runtime === 'wheels' ? all : all.filter((wheel) => !isRuntime(wheel));
  const before = installedPlugin(spec.name, cache);
  if (before !== undefined && before.runtime === runtime && sameFiles(before, wheels)) {
    note?.(`${spec.name} ${spec.version} is already there`);
    return before;
  }
  const atHand = await wheelsAtHand(options.wheels ?? [], wheels);
  const plugins = pluginsFolder(cache);
  return interruptible('addPlugin', signal, async () => {
    let draft: string | undefined;
    try {
      await mkdir(plugins, { recursive: true });
      await clearStale(plugins);
      await checkRoom(plugins, wheels);
      const plan = announce(spec, wheels, atHand);
      if (plan !== undefined) note?.(plan);
      draft = await mkdtemp(join(plugins, `.${spec.name}-`));
      const files = join(draft, 'files');
      await mkdir(files);
      const bytes = await fill(spec, wheels, atHand, { files, download: join(draft, 'download') }, options);
      await checkComplete(spec, runtime, files);
      const record: PluginRecord = {
        name: spec.name,
        version: spec.version,
        library: spec.library,
        runtime,
        bytes,
        wheels: wheels.map(({ file, sha256 }) => ({ file, sha256 })),
      };
      await writeFile(join(files, RECORD), `${JSON.stringify(record, undefined, 2)}\n`);
      signal?.throwIfAborted();
      const folder = join(plugins, spec.name);
      await replaceFolder(files, folder, join(draft, 'before'));
      return { ...record, folder, path: join(folder, spec.library) };
    } catch (cause) {
      throw diskError('addPlugin', plugins, cause);
    } finally {
      if (draft !== undefined) await rm(draft, { recursive: true, force: true, maxRetries: 3 });
    }
  });
}

/**
 * {@link installPlugin} by name.
 *
 * @throws SslError `UNKNOWN_NAME` with the nearest name
 */
export async function addPlugin(name: string, options: AddOptions = {}): Promise<InstalledPlugin> {
  return installPlugin(pickNamed('engine-xla.addPlugin', 'a plugin by name', name, PLUGINS), options);
}
