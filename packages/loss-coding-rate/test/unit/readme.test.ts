import { join } from 'node:path';
import { runExamples } from '@selfsup/test-kit';

runExamples(join(import.meta.dirname, '../../README.md'), import.meta.dirname);
