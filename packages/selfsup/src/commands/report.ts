import { join } from 'node:path';
import { SslError } from '@selfsup/core';
import { machineFacts } from '../doctor/machine.js';
import { ownVersion } from '../doctor/versions.js';
import type { EngineChoice } from '../engines.js';
import { lastValue } from '../report/curves.js';
import { reportPage, type ReportContent } from '../report/page.js';
import { textAt } from '../report/json-values.js';
import { runPictures } from '../report/run-pictures.js';
import { readRun, type RunRecord } from '../report/run-record.js';
import { writeWhole } from '../show/write-file.js';
import type { Output } from '../terminal/output.js';
import { createProgress, type Progress } from '../terminal/progress.js';

export interface ReportFlags extends EngineChoice {
  readonly run: string;
  /** File to write; `report.html` in the run directory by default. */
  readonly out?: string;
  /** Pictures to show, instead of the folder the run was trained on. */
  readonly data?: string;
  /** False: curves and settings only. */
  readonly pictures: boolean;
}

const REPORT_FILE = 'report.html';

/** Errors that mean the command line asked for something impossible; all others only cost the pictures. */
function asksForTheImpossible(error: unknown, flags: ReportFlags): boolean {
  if (!SslError.is(error)) return false;
  if (error.code === 'DATA_MISSING') return flags.data !== undefined;
  const chosen = flags.backend !== undefined || (flags.engine !== undefined && flags.engine !== 'auto');
  return chosen && ['BACKEND_MISSING', 'BAD_OPTION', 'ENGINE_MISSING'].includes(error.code);
}

function whyNone(error: unknown, run: RunRecord): string {
  if (SslError.is(error) && error.code === 'DATA_MISSING') {
    const data = textAt(run.config, 'resolved.data') ?? 'the data folder';
    return `They need the pictures the run was trained on, and ${data} is not there (seen from ${process.cwd()}). To show others: selfsup report ${run.directory} --data DIR`;
  }
  return `They could not be made: ${error instanceof Error ? error.message : String(error)}`;
}

async function pictures(run: RunRecord, flags: ReportFlags, output: Output): Promise<ReportContent['pictures']> {
  if (!flags.pictures) return { missing: 'Left out: the report was made with --no-pictures.' };
  if (run.checkpointSteps.length === 0) return { missing: 'They need a checkpoint, and none has been saved yet.' };
  let progress: Progress | undefined;
  try {
    return await runPictures(run, {
      ...flags,
      onNote: (text) => output.note(text),
      onProgress: (done, total) => {
        progress ??= createProgress({ label: 'pictures', total });
        progress.update(done);
      },
    });
  } catch (error) {
    if (asksForTheImpossible(error, flags)) throw error;
    return { missing: whyNone(error, run) };
  } finally {
    progress?.finish();
  }
}

/** `selfsup report`: one HTML page about a run, in whatever state it is. */
export async function report(flags: ReportFlags, output: Output): Promise<void> {
  const run = await readRun(flags.run);
  for (const note of run.notes) output.note(note);
  const shown = await pictures(run, flags, output);
  if ('missing' in shown) output.note(`no pictures: ${shown.missing}`);
  const machine = machineFacts();
  const page = await reportPage({
    run,
    pictures: shown,
    madeBy: {
      written: new Date().toISOString(),
      selfsup: ownVersion(),
      ...Object.fromEntries(Object.entries(machine).map(([name, value]) => [name, String(value)])),
    },
  });
  const out = flags.out ?? join(flags.run, REPORT_FILE);
  await writeWhole(out, page);
  output.result(
    {
      out,
      state: run.state,
      steps: run.lastStep,
      totalSteps: run.totalSteps,
      loss: lastValue(run, 'loss')?.value,
      knn: lastValue(run, 'knn.top1')?.value,
      badFiles: run.badFiles.length,
      damagedLines: run.damagedLines,
      notes: run.notes,
      pictures:
        'missing' in shown ? shown.missing : { neighbours: shown.neighbours.length, attention: shown.attention.length },
      bytes: Buffer.byteLength(page),
    },
    `wrote ${out} (${(Buffer.byteLength(page) / 1024).toFixed(0)} KB)`,
  );
}
