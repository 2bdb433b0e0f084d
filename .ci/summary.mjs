// Usage: node summary.mjs REPORTS "passed COMMAND" "failed COMMAND" ...
// Adds up the vitest reports of all workspaces and the outcomes of the commands; the last line of output is
// "N passed, N failed".
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const [reports, ...outcomes] = process.argv.slice(2);
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** Folders of all workspaces. */
const workspaces = readJson('package.json')
  .workspaces.flatMap((pattern) =>
    pattern.endsWith('/*') ? readdirSync(pattern.slice(0, -2)).map((name) => pattern.slice(0, -1) + name) : [pattern],
  )
  .filter((folder) => existsSync(join(folder, 'package.json')));

const total = { passed: 0, failed: 0, skipped: 0 };

/** Adds up the reports of the workspaces that run vitest in a script; one without a report has crashed. */
function addReports(script) {
  for (const folder of workspaces) {
    const { scripts = {} } = readJson(join(folder, 'package.json'));
    if (!scripts[script]?.includes('vitest')) continue;
    const path = join(reports, `${basename(folder)}.json`);
    if (!existsSync(path)) {
      console.log(`${folder}: no report, so it crashed or did not run`);
      total.failed += 1;
      continue;
    }
    const report = readJson(path);
    // A file that could not be loaded has failed without a failed test in it; a workspace without tests has, too.
    const broken = report.testResults.filter(
      (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
    ).length;
    const failed = report.numFailedTests + broken + (report.numTotalTests === 0 && broken === 0 ? 1 : 0);
    console.log(`${folder}: ${report.numPassedTests} passed, ${failed} failed`);
    total.passed += report.numPassedTests;
    total.failed += failed;
    total.skipped += report.numPendingTests + report.numTodoTests;
  }
}

/** Commands whose tests are counted one by one, and the scripts of the workspaces they run. */
const counted = { 'npm test': 'test', 'npm run check:pack': 'check:pack' };
for (const outcome of outcomes) {
  const [state, command] = [outcome.slice(0, 6), outcome.slice(7)];
  const before = total.failed;
  if (command in counted) addReports(counted[command]);
  else total[state] += 1;
  // It may also fail around its tests: a build, an error after the last test.
  if (state === 'failed' && total.failed === before) total.failed += 1;
  console.log(`${command}: ${state}`);
}
if (total.skipped > 0) console.log(`${total.skipped} skipped`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
