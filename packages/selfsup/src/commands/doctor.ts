import type { Check } from '../doctor/check.js';
import { checkEngine, ENGINES_TO_TRY } from '../doctor/engine-speed.js';
import { findingsText, verdict } from '../doctor/findings.js';
import { checkSharp } from '../doctor/image-library.js';
import { checkCores, checkMemory, checkNode } from '../doctor/machine.js';
import { ReportedFailure } from '../doctor/reported-failure.js';
import { checkRunFolder } from '../doctor/run-folder.js';
import { checkLibraries } from '../doctor/versions.js';
import { checkPlugins } from '../doctor/xla-plugins.js';
import { EXIT } from '../terminal/exit-codes.js';
import type { Output } from '../terminal/output.js';

export interface DoctorFlags {
  /** Folder that runs go to. */
  readonly out: string;
  /** Length of the matrix product of each engine. */
  readonly seconds: number;
}

const WIDEST = 100;

/** `selfsup doctor`: looks at everything a run needs and says how to mend what is broken. */
export async function doctor(flags: DoctorFlags, output: Output): Promise<void> {
  const checks: Check[] = [checkNode(), checkMemory(), checkCores(), checkLibraries()];
  for (const wanted of ENGINES_TO_TRY) {
    output.note(`trying ${[wanted.engine, wanted.backend].filter(Boolean).join(' ')} for ${flags.seconds} s`);
    checks.push(await checkEngine(wanted, flags.seconds));
  }
  output.note('trying XLA plugins');
  checks.push(...(await checkPlugins()), await checkSharp(), await checkRunFolder(flags.out));

  const broken = checks.filter(({ status }) => status === 'failed');
  const says = verdict(checks);
  output.result(
    {
      ok: broken.length === 0,
      checks,
      ...(broken.length === 0
        ? {}
        : { error: { code: 'DOCTOR', message: says, details: { broken: broken.map(({ name }) => name) } } }),
    },
    `${findingsText(checks, Math.min(WIDEST, process.stdout.columns || WIDEST))}\n${says}`,
  );
  if (broken.length > 0) throw new ReportedFailure(EXIT.failed);
}
