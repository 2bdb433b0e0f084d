import type { Command, CommanderError } from 'commander';
import { nearestName, SslError } from '@selfsup/core';
import { pathOf } from './options.js';

/** What commander complains about, and where. */
export class Complaint extends Error {
  constructor(
    readonly problem: CommanderError,
    readonly command: Command,
  ) {
    super(problem.message);
  }
}

interface Said {
  readonly expected: string;
  readonly got: string;
  readonly fix?: string | undefined;
}

const quoted = (text: string): string | undefined => /'(.*?)'/.exec(text)?.[1];

const suggestion = (name: string | undefined, known: readonly string[]): string | undefined => {
  const near = name === undefined ? undefined : nearestName(name, known);
  return near === undefined ? undefined : `did you mean "${near}"`;
};

/** `--data` of `--data <dir>`. */
const longName = (flags: string): string => /--[\w-]+/.exec(flags)?.[0] ?? flags;

function subcommand(got: string | undefined, { commands }: Command): Said {
  const names = commands.map((command) => command.name());
  return {
    expected: `one of ${names.join(', ')}`,
    got: got === undefined ? 'none' : `"${got}"`,
    fix: suggestion(got, names),
  };
}

/** What other programs call it. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  data_dir: '--data DIR',
  'data-dir': '--data DIR',
  epochs: '--set length.epochs=N',
  gpus: '--devices N',
  'learning-rate': '--set optimizer.learningRate=X',
  lr: '--set optimizer.learningRate=X',
  model: '--arch NAME',
  'num-workers': '--workers N',
  'output-dir': '--out DIR',
  output_dir: '--out DIR',
  'patch-size': '--set backbone.patchSize=N',
  patch_size: '--set backbone.patchSize=N',
};

const bare = (option: string): string => option.replace(/^-+|=.*$/g, '');

function option(got: string, { options }: Command): Said {
  const names = options.map(({ long }) => bare(long ?? ''));
  const hint = ELSEWHERE[bare(got)];
  const known = hint !== undefined && names.includes(bare(hint.split(' ')[0])) ? hint : undefined;
  const near = nearestName(bare(got), names, (length) => Math.max(1, Math.floor(length / 3)));
  return {
    expected: 'one of its options',
    got,
    fix: known === undefined ? near && `did you mean "--${near}"` : `use ${known}`,
  };
}

function choice(text: string, { options }: Command): Said {
  const [, flags = '', got = '', allowed = ''] = /option '(.*?)' argument '(.*?)' is invalid\. (.*)$/.exec(text) ?? [];
  const choices = options.find((option) => option.flags === flags)?.argChoices ?? [];
  return {
    expected: `${longName(flags)} ${choices.length === 0 ? allowed : choices.join(' or ')}`,
    got: `"${got}"`,
    fix: suggestion(got, choices) ?? (choices.length === 1 ? `write ${longName(flags)} ${choices[0]}` : undefined),
  };
}

function said(code: string, text: string, command: Command): Said {
  const name = quoted(text);
  switch (code) {
    case 'commander.help':
    case 'commander.unknownCommand':
      return subcommand(name, command);
    case 'commander.invalidArgument':
      return choice(text, command);
    case 'commander.unknownOption': {
      // `selfsup show --json`: what is lacking is which picture, not an option.
      if (command.commands.length > 0 && command.parent !== null) return subcommand(undefined, command);
      return option(name ?? text, command);
    }
    case 'commander.missingArgument': {
      const argument = command.registeredArguments.find((a) => a.name() === name);
      const what = argument?.description ?? '';
      return { expected: `${(name ?? '').toUpperCase()}${what === '' ? '' : `: ${what}`}`, got: 'none' };
    }
    case 'commander.optionMissingArgument':
      return { expected: `a value after ${longName(name ?? '')}`, got: 'none' };
    case 'commander.excessArguments':
      return {
        expected: `${command.registeredArguments.length === 0 ? 'options' : 'these arguments'} alone: selfsup ${pathOf(command).join(' ')} ${command.usage()}`,
        got: 'more words',
        fix: 'give values with their options, and put what has spaces between quotes',
      };
    default:
      return { expected: 'a command line as its --help describes it', got: text };
  }
}

/** commander's complaints as our errors: one line with a fix. */
export function usageError({ problem, command }: Complaint): SslError {
  const text = problem.message.replace(/^error: /, '').replace(/\s+/g, ' ');
  const path = ['selfsup', ...pathOf(command)];
  const { expected, got, fix } = said(problem.code, text, command);
  return new SslError('BAD_OPTION', {
    where: path.join('.'),
    expected,
    got,
    fix: fix ?? `see ${path.join(' ')} --help`,
  });
}
