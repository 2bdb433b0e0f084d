import { fileURLToPath } from 'node:url';

/** Root of the monorepo. */
export const repositoryRoot = fileURLToPath(new URL('../../..', import.meta.url));

/** On a build machine nothing may be missing: what a developer's machine skips fails there. */
export const nothingMayBeMissing = process.env['CI'] === 'true' || process.env['CI'] === '1';
