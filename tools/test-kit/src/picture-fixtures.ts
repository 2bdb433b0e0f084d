import { describe, it } from 'vitest';
import { fixtureCases, hasFixtures, type FixtureCase } from './fixtures.js';
import { nothingMayBeMissing } from './paths.js';

/**
 * `describe.each` over the fixtures below a folder that hold pictures. Those are made from the
 * test data and stay beside it: in a user's clone the tests are skipped with the reason printed, with `CI=true` or
 * `SELFSUP_FIXTURES` they fail.
 *
 * @param folder - e.g. `augment/blur`
 */
export function describePictureFixtures(folder: string, define: (fixture: FixtureCase) => void): void {
  const asked = (process.env['SELFSUP_FIXTURES'] ?? '') !== '';
  if (hasFixtures(folder) || asked || nothingMayBeMissing) {
    describe.each(fixtureCases(folder))('$name', define);
    return;
  }
  console.warn(`skipped: the pictures of the fixtures ${folder} are not here (set SELFSUP_FIXTURES)`);
  describe.skip(folder, () => it('needs fixtures that are not here', () => undefined));
}
