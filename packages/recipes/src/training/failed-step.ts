import type { Run } from '@selfsup/checkpoint';
import { SslError } from '@selfsup/core';

const PARTS = /^(.*)\. Fix: (.*)\.$/s;

/**
 * What an engine said when a step failed on it (no memory, a lost device), with what is left of the run. The state was in
 * the engine, so nothing newer than the last checkpoint can be saved.
 *
 * @param saved - step of the last checkpoint, 0 for none
 */
export function failedStep(problem: unknown, step: number, saved: number, run: Run | undefined): unknown {
  if (!SslError.is(problem) || !['ENGINE_FAILED', 'OUT_OF_MEMORY'].includes(problem.code)) return problem;
  const [, got, fix] = PARTS.exec(problem.message) ?? ['', problem.message, 'look at "selfsup doctor"'];
  const left =
    run === undefined || saved === 0
      ? 'no checkpoint had been saved yet'
      : `the checkpoint of step ${saved} stands: go on with --resume --out ${run.directory}`;
  return new SslError(problem.code, {
    where: 'recipes.train',
    expected: `step ${step} to run`,
    got,
    fix: `${fix}; ${left}`,
    details: { ...problem.details, step, ...(saved === 0 ? {} : { checkpointStep: saved }) },
    cause: problem,
  });
}
