import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { entriesOf, publishedPackages, repositoryRoot, run, withOurDependencies } from './packages.js';

const packages = publishedPackages();
const workspace = mkdtempSync(join(tmpdir(), 'pack-check-'));
const tarballs = join(workspace, 'tarballs');
const tarballOf = (name: string): string => {
  const stem = `${name.replace('@', '').replace('/', '-')}-`;
  const file = readdirSync(tarballs).find(
    (candidate) => candidate.startsWith(stem) && /^\d/.test(candidate.slice(stem.length)),
  );
  if (file === undefined) throw new Error(`${name} was not packed`);
  return join(tarballs, file);
};

beforeAll(async () => {
  mkdirSync(tarballs);
  const folders = packages.map(({ folder }) => folder);
  const packed = await run(workspace, 'npm', ['pack', '--ignore-scripts', '--pack-destination', tarballs, ...folders]);
  if (packed.code !== 0) throw new Error(packed.stderr);
});
afterAll(() => rmSync(workspace, { recursive: true, force: true }));

it('has a command line that needs every package', () => {
  expect(withOurDependencies('selfsup', packages)).toHaveLength(packages.length);
});

// Two at a time: half of it is waiting for npm.
describe.concurrent.each(packages)('$manifest.name', ({ manifest }) => {
  const { name } = manifest;
  const entries = entriesOf(manifest);
  const project = join(workspace, `using-${name.replace('/', '-')}`);

  beforeAll(async () => {
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }));
    // Everything this package needs of ours comes from tarballs, nothing else of ours is there: a dependency that is
    // not declared is missed. Third parties come from npm's cache where it has them.
    const files = withOurDependencies(name, packages).map((other) => tarballOf(other.manifest.name));
    const flags = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock'];
    const installed = await run(project, 'npm', ['install', ...flags, ...files]);
    if (installed.code !== 0) throw new Error(installed.stderr);
  });

  it('holds what publint asks for', async () => {
    const { buffer, byteOffset, byteLength } = readFileSync(tarballOf(name));
    const tarball = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
    const { messages, pkg } = await publint({ pack: { tarball }, strict: true, level: 'warning' });
    expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([]);
  });

  it.each(entries)('%s can be imported and says nothing', async (entry) => {
    const code = `const all = await import('${entry}'); if (typeof all !== 'object') throw new Error('nothing there');`;
    expect(await run(project, process.execPath, ['--input-type=module', '--eval', code])).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
  });

  // The command line needs every other package: under a bundler's rules all are checked together, which takes a
  // minute less (and would not see what one of them fails to declare; the other check does).
  const everything = withOurDependencies('selfsup', packages).flatMap((one) => entriesOf(one.manifest));
  const checks: Record<string, string[]> = {
    nodenext: entries,
    ...(name === 'selfsup' ? { bundler: everything } : {}),
  };
  it.each(Object.entries(checks))('type-checks under %s', async (resolution, imported) => {
    const source = imported.map((entry, i) => `import * as m${i} from '${entry}';\nexport const x${i} = m${i};\n`);
    const file = `user-${resolution}.ts`;
    writeFileSync(join(project, file), source.join(''));
    const module = resolution === 'nodenext' ? 'nodenext' : 'esnext';
    // Declarations are looked at too, which a check of the user's file alone would not do.
    const flags = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--target', 'es2022', '--pretty', 'false'];
    const tsc = join(repositoryRoot, 'node_modules/typescript/bin/tsc');
    const args = [tsc, ...flags, '--module', module, '--moduleResolution', resolution, file];
    const { stdout, stderr } = await run(project, process.execPath, args);
    // Errors inside third parties' declarations are theirs; further lines of a message are indented.
    const theirs = /^(node_modules\/(?!@selfsup\/|selfsup\/)|\s|$)/;
    expect(stdout.split('\n').filter((line) => !theirs.test(line))).toEqual([]);
    expect(stderr).toBe('');
  });

  // A worker is found by its address beside the module, which importing does not try.
  if (entries.includes('@selfsup/augment-multicrop/pool')) {
    it('starts worker threads', async () => {
      const decoder = `data:text/javascript,export const decode = () => ({ width: 8, height: 8, data: new Uint8Array(192) })`;
      const code = `
        const { createCropPool } = await import('@selfsup/augment-multicrop/pool');
        const { multiCropConfig } = await import('@selfsup/augment-multicrop');
        const config = multiCropConfig('simdino', { global: { size: 8 }, local: { size: 4 } });
        const pool = await createCropPool({ decoder: '${decoder}', config, seed: 0, threads: 1 });
        const { crops } = await pool.crops('any', { epoch: 0, sample: 0 });
        await pool.close();
        console.log(crops.global.length);`;
      expect(await run(project, process.execPath, ['--input-type=module', '--eval', code])).toEqual({
        code: 0,
        stdout: `${2 * 8 * 8 * 3}\n`,
        stderr: '',
      });
    });
  }

  for (const [command, path] of Object.entries(manifest.bin ?? {})) {
    it(`installs the command ${command} (${path})`, async () => {
      const { code, stdout } = await run(project, 'npx', ['--no-install', command, '--help']);
      expect(code).toBe(0);
      expect(stdout).toContain(command);
    });
  }
});
