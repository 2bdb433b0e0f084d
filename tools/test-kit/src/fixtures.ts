import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { repositoryRoot } from './paths.js';
import { readSafetensors, type FixtureTensor } from './safetensors.js';

/** Parsed JSON of a fixture; its shape differs from area to area, so tests index it freely. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type FixtureJson = Record<string, any>;

interface ToleranceGroup {
  readonly recommended_rel?: number;
  readonly recommended_rms_rel?: number;
}

/** One golden fixture: a JSON file and the tensors beside it. */
export class FixtureCase {
  #tensors: Record<string, FixtureTensor> | undefined;

  constructor(
    /** Path below the fixtures root without `.json`, e.g. `ssl/heads/simdino-v1`. */
    readonly name: string,
    /** Folder of the fixture, where its pictures are. */
    readonly directory: string,
    readonly json: FixtureJson,
    private readonly path: string,
  ) {}

  /** All tensors by name. @throws if there is no `.safetensors` of the same stem */
  tensors(): Record<string, FixtureTensor> {
    this.#tensors ??= readSafetensors(this.path.replace(/\.json$/, '.safetensors'));
    return this.#tensors;
  }

  /** One tensor. @throws if the fixture has none of that name */
  tensor(name: string): FixtureTensor {
    const tensors = this.tensors();
    if (Object.hasOwn(tensors, name)) return tensors[name];
    throw new Error(`fixture ${this.name} has no tensor "${name}"; it has ${Object.keys(tensors).join(', ')}`);
  }

  /** The scalar's float64 reference value. @throws if the fixture has none of that name */
  scalar(name: string): number {
    const value = (this.json['scalars'] as Record<string, { f64: number }> | undefined)?.[name];
    if (value !== undefined) return value.f64;
    throw new Error(`fixture ${this.name} has no scalar "${name}"`);
  }

  /** Largest allowed max|got - expected| / max|expected| of a tolerance group. @throws if there is no such group */
  tolerance(group: string): number {
    return this.#toleranceOf(group, 'recommended_rel');
  }

  /** Largest allowed ||got - expected|| / ||expected|| of a tolerance group. @throws if there is no such group */
  rmsTolerance(group: string): number {
    return this.#toleranceOf(group, 'recommended_rms_rel');
  }

  #toleranceOf(group: string, kind: keyof ToleranceGroup): number {
    const tolerance = this.json['tolerance'] as { groups?: Record<string, ToleranceGroup> } | undefined;
    const groups = tolerance?.groups ?? {};
    const value = groups[group]?.[kind];
    if (value !== undefined) return value;
    throw new Error(
      `fixture ${this.name} has no ${kind} for group "${group}"; its groups are ${Object.keys(groups).join(', ')}`,
    );
  }
}

/** Folders that hold fixtures, the first one wins: $SELFSUP_FIXTURES alone, else `fixtures` and `../shared/fixtures`. */
function fixtureRoots(): string[] {
  const given = process.env['SELFSUP_FIXTURES'];
  if (given !== undefined && given !== '') return [resolve(given)];
  return [resolve(repositoryRoot, 'fixtures'), resolve(repositoryRoot, '../shared/fixtures')];
}

function jsonFiles(root: string, folder: string): string[] {
  const start = join(root, folder);
  if (!existsSync(start)) return [];
  return readdirSync(start, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.json'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

/** JSON as Python writes it: a statistic of nothing is NaN there, null here. */
function parseJson(text: string): FixtureJson {
  return JSON.parse(text.replace(/(?<=[:[,]\s*)NaN(?=\s*[,}\]])/g, 'null')) as FixtureJson;
}

/** Whether any root has fixtures below a folder. */
export const hasFixtures = (folder: string): boolean =>
  fixtureRoots().some((root) => jsonFiles(root, folder).length > 0);

/**
 * Every fixture below a folder of the fixtures, optionally only the accepted ones. JSON files without a `fixture` field
 * are data of a fixture, not fixtures.
 *
 * @param folder - e.g. `ssl/heads`
 * @throws if there is none, so that a golden test cannot pass by finding nothing
 *
 * @example
 * describe.each(fixtureCases('ssl/heads', (json) => json.hyper.kind === 'simdino'))('$name', (fixture) => { ... });
 */
export function fixtureCases(folder: string, accept: (json: FixtureJson) => boolean = () => true): FixtureCase[] {
  const cases = new Map<string, FixtureCase>();
  const roots = fixtureRoots();
  for (const root of roots) {
    for (const file of jsonFiles(root, folder)) {
      const name = file.replace(/\.json$/, '').replaceAll('\\', '/');
      if (cases.has(name)) continue;
      const path = join(root, file);
      const json = parseJson(readFileSync(path, 'utf8'));
      if (typeof json['fixture'] === 'string' && accept(json)) {
        cases.set(name, new FixtureCase(name, dirname(path), json, path));
      }
    }
  }
  if (cases.size === 0) throw new Error(`no matching fixture below ${folder} in ${roots.join(' or ')}`);
  return [...cases.values()];
}
