import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { libraryPath } from '../../../engine-onnxruntime/src/runtime/c-api.js';
import { Topology } from '../../src/pjrt/ahead-of-time.js';
import { Client } from '../../src/pjrt/client.js';
import { pluginError } from '../../src/pjrt/errors.js';
import { decodeNamedValues, encodeNamedValues } from '../../src/pjrt/named-values.js';
import { checkVersion, Plugin, type LiveCounts } from '../../src/pjrt/plugin.js';
import { cpuPlugin } from '../plugin.js';

const path = cpuPlugin();

const NOTHING: LiveCounts = { clients: 0, topologies: 0, buffers: 0, events: 0, executables: 0, errors: 0 };

describe('what is no plugin', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'selfsup-plugin-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const expectUnusable = async (load: Promise<unknown>, says: string | RegExp): Promise<void> => {
    await expect(load).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringMatching(says),
    });
    await expect(load).rejects.toMatchObject({ message: expect.not.stringContaining('\n') });
  };

  it.each([undefined, null, '', 7])('refuses the path %j', async (wrong) => {
    await expectUnusable(Plugin.load(wrong as unknown as string), /no path.*Fix: give the path/);
  });

  it('refuses what is not there, and folders', async () => {
    await expectUnusable(Plugin.load(join(folder, 'gone.so')), /no such file/);
    mkdirSync(join(folder, 'deep'));
    await expectUnusable(Plugin.load(join(folder, 'deep')), /a folder/);
  });

  it('refuses paths that the file system does not take', async () => {
    symlinkSync('loop.so', join(folder, 'loop.so'));
    const wrong = [join(folder, 'loop.so'), join(folder, 'long'.repeat(100)), `${folder}/nul\0.so`];
    for (const path of wrong) await expectUnusable(Plugin.load(path), /Fix: give the path of a file that can be read/);
  });

  it('refuses a file that is no library', async () => {
    const text = join(folder, 'text.so');
    writeFileSync(text, 'not a library, but long enough to look like one'.repeat(100));
    await expectUnusable(Plugin.load(text), /Fix: use a plugin built for this system/);
  });

  it.runIf(process.platform === 'linux')('refuses a library for another processor', async () => {
    // An ELF header alone, 64 bits, for a processor nobody has (EM_AVR).
    const header = Buffer.alloc(4096);
    header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
    header.writeUInt16LE(3, 16);
    header.writeUInt16LE(83, 18);
    const library = join(folder, 'other.so');
    writeFileSync(library, header);
    await expectUnusable(Plugin.load(library), /Fix: use a plugin built for this system/);
  });

  it.runIf(process.platform === 'linux')('refuses a library that was cut off', async () => {
    const library = join(folder, 'cut.so');
    writeFileSync(library, readFileSync(libraryPath()).subarray(0, 100_000));
    await expectUnusable(Plugin.load(library), /cut off after 100000 of \d+ bytes.*Fix: get the plugin again/);
  });

  it('refuses a library that is no plugin', async () => {
    await expectUnusable(Plugin.load(libraryPath()), /no PJRT plugin \(it has no function GetPjrtApi\)/);
  });

  it.each([
    [{ major: 0, minor: 56 }, /got 0\.56 at x, which is too old/],
    [{ major: 1, minor: 0 }, /got 1\.0 at x, which is too new/],
  ])('refuses API %j', (version, says) => {
    expect(() => checkVersion('x', version)).toThrow(says);
  });

  it('takes any minor version from the oldest on', () => {
    for (const minor of [57, 115, 4000]) expect(() => checkVersion('x', { major: 0, minor })).not.toThrow();
  });

  it('says that a plugin wants more than it gets', () => {
    const message = 'Unexpected PJRT_ExecuteOptions size: expected 120, got 112. The plugin is likely built later.';
    expect(pluginError('Execute', 'INVALID_ARGUMENT', message)).toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringMatching(/too new: Unexpected.*Fix: update selfsup/),
    });
  });
});

describe.skipIf(path === undefined)('the CPU plugin', () => {
  let plugin: Plugin;
  beforeAll(async () => {
    plugin = await Plugin.load(path as string);
  });

  it('is loaded once, also through a link', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'selfsup-plugin-'));
    symlinkSync(path as string, join(folder, 'link.so'));
    expect(await Plugin.load(join(folder, 'link.so'))).toBe(plugin);
    rmSync(folder, { recursive: true });
  });

  it('tells its version and attributes', () => {
    expect(plugin.version).toEqual({ major: 0, minor: expect.any(Number) });
    expect(plugin.attributes['stablehlo_current_version']).toHaveLength(3);
  });

  it('reads back the values that it is given', () => {
    const values = { text: 'a b', nothing: '', number: -5, yes: true, no: false, list: [1, 2, -3] };
    const encoded = encodeNamedValues(plugin, values);
    const address = plugin.addressOf(encoded.bytes);
    expect(decodeNamedValues(plugin, address, BigInt(encoded.count))).toEqual(values);
    // Used to the end, so that it was alive.
    expect(encoded.held).toHaveLength(6);
  });

  it('reports errors with its own words and code, and keeps nothing of them', async () => {
    const client = await Client.create(plugin);
    const compile = client.compile('module {', { devices: 1, inputs: 0, outputs: 0 }, { devices: 1 });
    await expect(compile).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringMatching(
        /^engine-xla\.Client_Compile: expected XLA to succeed, got \w+: .*error:.*[^.]\. Fix: /,
      ),
      details: { pjrtCode: expect.any(String) },
    });
    const nothing = 'module { func.func @main() { return } }';
    const overrides = { nonsense: 1 };
    const unknown = client.compile(nothing, { devices: 1, inputs: 0, outputs: 0 }, { devices: 1, overrides });
    await expect(unknown).rejects.toMatchObject({
      message: expect.stringContaining("No such compile option: 'nonsense'"),
    });
    client.dispose();
    await expect(Client.create(plugin, { nonsense: 1 })).rejects.toMatchObject({
      message: expect.stringContaining('nonsense'),
    });
    expect(plugin.live).toEqual(NOTHING);
  });

  it('brings numbers to the host in the order that is asked for, row-major unless told', async () => {
    const client = await Client.create(plugin);
    const shape = [2, 3, 4];
    const data = Float32Array.from({ length: 24 }, (_, i) => i);
    const buffer = await client.buffers.upload({ data, dtype: 'f32', shape, start: 0 }, client.devices[0]);
    const [rowMajor, turned] = [new Float32Array(24), new Float32Array(24)];
    await client.buffers.download(buffer, rowMajor, 3);
    expect(rowMajor).toEqual(data);
    await client.buffers.download(buffer, turned, 3, [0, 2, 1]);
    const at = (i: number): number => (i % 2) * 12 + Math.floor(i / 8) * 4 + (Math.floor(i / 2) % 4);
    expect(turned).toEqual(Float32Array.from({ length: 24 }, (_, i) => at(i)));
    client.buffers.destroy([buffer]);
    client.dispose();
    expect(plugin.live).toEqual(NOTHING);
  });

  it('says that it cannot compile for devices that are not here', async () => {
    await expect(Topology.create(plugin, '')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    expect(plugin.live).toEqual(NOTHING);
  });
});
