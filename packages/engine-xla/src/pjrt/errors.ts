import { SslError } from '@selfsup/core';
import type { ErrorCode } from './api-table.js';

/** Text of native code in one line, without the full stop that the message brings. */
export function oneLine(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replace(/[.\s]+$/, '')
    .trim();
}

const DETAIL_LIMIT = 600;

/** What to do about an error that XLA reports. */
function fixFor(code: ErrorCode): string {
  switch (code) {
    case 'RESOURCE_EXHAUSTED':
      return 'use a smaller batch, --accumulate or more devices';
    case 'UNIMPLEMENTED':
      return 'use a newer plugin, or another engine';
    case 'UNAVAILABLE':
    case 'DATA_LOSS':
    case 'ABORTED':
      return 'look whether the device is still there (it may have been lost or the machine suspended), then start again from the last checkpoint';
    default:
      return 'report this with the message above';
  }
}

/** A plugin that wants more fields than our structs have. */
const OUTGROWN = /Unexpected PJRT_\w+ size: expected (\d+), got (\d+)/;

/** An error of the plugin in one line, with its own code in the details. */
export function pluginError(where: string, code: ErrorCode, message: string): SslError {
  const line = oneLine(message);
  const short = line.length > DETAIL_LIMIT ? `${line.slice(0, DETAIL_LIMIT)} ...` : line;
  const [, wanted = 0, sent = 0] = OUTGROWN.exec(line) ?? [];
  if (Number(wanted) > Number(sent)) {
    return new SslError('ENGINE_FAILED', {
      where: `engine-xla.${where}`,
      expected: 'a plugin that takes arguments of the PJRT API as it was up to 0.115',
      got: `a plugin that is too new: ${short}`,
      fix: 'update selfsup, or use an older plugin',
      details: { pjrtCode: code, message: line },
    });
  }
  return new SslError(
    code === 'RESOURCE_EXHAUSTED' ? 'OUT_OF_MEMORY' : code === 'UNIMPLEMENTED' ? 'UNSUPPORTED' : 'ENGINE_FAILED',
    {
      where: `engine-xla.${where}`,
      expected: 'XLA to succeed',
      got: `${code}: ${short}`,
      fix: fixFor(code),
      details: { pjrtCode: code, message: line },
    },
  );
}

/** The error of using what is gone. */
export function disposedError(where: string, what: string): SslError {
  return new SslError('ENGINE_FAILED', {
    where: `engine-xla.${where}`,
    expected: `a live ${what}`,
    got: 'a disposed one',
    fix: `do not use the ${what} after dispose()`,
  });
}
