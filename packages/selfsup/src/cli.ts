import { CommanderError, type Command } from 'commander';
import { buildProgram } from './command-line/program.js';
import { Complaint, usageError } from './command-line/usage-error.js';
import { ReportedFailure } from './doctor/reported-failure.js';
import { EXIT, exitCodeOf } from './terminal/exit-codes.js';
import { errorJson, errorLine } from './terminal/output.js';

/** Every command and subcommand gets the same quiet error handling. */
function quiet(command: Command): void {
  command
    .exitOverride((problem) => {
      throw problem.exitCode === 0 ? problem : new Complaint(problem, command);
    })
    .configureOutput({ writeErr: () => undefined });
  command.commands.forEach(quiet);
}

/**
 * Runs the command line.
 *
 * @param argv - Arguments after the program's name.
 * @returns the exit code: 0 done, 2 wrong use, 1 failed while working, 130 interrupted after saving
 */
export async function main(argv: readonly string[]): Promise<number> {
  const program = buildProgram();
  quiet(program);
  const json = argv.includes('--json');
  try {
    if (argv.length === 0) {
      program.outputHelp();
      return EXIT.usage;
    }
    await program.parseAsync([...argv], { from: 'user' });
    return EXIT.done;
  } catch (caught) {
    if (caught instanceof CommanderError && caught.exitCode === 0) return EXIT.done;
    if (caught instanceof ReportedFailure) return caught.exitCode;
    const error = caught instanceof Complaint ? usageError(caught) : caught;
    if (json) process.stdout.write(`${JSON.stringify(errorJson(error))}\n`);
    process.stderr.write(`${errorLine(error)}\n`);
    if (process.env['SELFSUP_DEBUG'] !== undefined && error instanceof Error)
      process.stderr.write(`${error.stack ?? ''}\n`);
    return exitCodeOf(error);
  }
}
