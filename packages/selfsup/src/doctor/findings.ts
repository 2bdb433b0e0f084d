import type { Check } from './check.js';

const MARKS: Readonly<Record<Check['status'], string>> = { ok: 'ok', warning: 'warn', failed: 'FAIL' };

/** Words put into lines of a width; a word longer than that keeps a line of its own. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** What was found, a paragraph for each check, that fits a terminal of `columns`. */
export function findingsText(checks: readonly Check[], columns: number): string {
  const nameWidth = Math.max(...checks.map(({ name }) => name.length)) + 2;
  // On a narrow terminal the text goes below the name.
  const beside = columns >= nameWidth + 40;
  const indent = beside ? ' '.repeat(6 + nameWidth) : '      ';
  const paragraphs = checks.map(({ name, status, says, fix }) => {
    const head = `${MARKS[status].padEnd(6)}${beside ? name.padEnd(nameWidth) : name}`;
    const lines = [says, ...(fix === undefined ? [] : [`Fix: ${fix}.`])].flatMap((text) =>
      wrapped(text, Math.max(20, columns - indent.length)),
    );
    const [first, ...rest] = lines;
    return beside
      ? [`${head}${first}`, ...rest.map((line) => `${indent}${line}`)]
      : [head, ...lines.map((line) => `${indent}${line}`)];
  });
  return paragraphs.flat().join('\n');
}

/** The verdict in a sentence. */
export function verdict(checks: readonly Check[]): string {
  const names = (status: Check['status']): string[] => checks.filter((c) => c.status === status).map((c) => c.name);
  const [failed, warned] = [names('failed'), names('warning')];
  if (failed.length > 0) return `Broken: ${failed.join(', ')}.`;
  return warned.length > 0 ? `Everything needed works; not at its best: ${warned.join(', ')}.` : 'Everything works.';
}
