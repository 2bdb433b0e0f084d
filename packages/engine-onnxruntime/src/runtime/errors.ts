import { SslError } from '@selfsup/core';

/** An error of onnxruntime in one line; running out of memory is told from its message. */
export function runtimeError(where: string, message: string): SslError {
  const line = message
    .replace(/\s+/g, ' ')
    .replace(/\.+\s*$/, '')
    .trim();
  const memory = /bad_?alloc|out of memory|failed to allocate|not enough memory/i.test(line);
  return new SslError(memory ? 'OUT_OF_MEMORY' : 'ENGINE_FAILED', {
    where,
    expected: 'onnxruntime to succeed',
    got: line,
    fix: memory ? 'use a smaller batch, fewer crops or a smaller model' : 'report this with the message above',
    details: { message: line },
  });
}
