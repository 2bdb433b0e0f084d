// The ways PyTorch is run.
import { readFileSync } from 'node:fs';
import { AS_INTEL } from './workers.js';

/** A way to run PyTorch: flags of the peer scripts, and what a row says about it. */
export interface TorchVariant {
  readonly name: string;
  readonly flags: readonly string[];
  readonly what: string;
}

const SETTING = '2 threads, SDPA, foreach AdamW and EMA';
const INSTALLED: TorchVariant = { name: 'torch', flags: [], what: `eager, as installed by pip, ${SETTING}` };
const AVX512: TorchVariant = {
  name: 'torchAvx512',
  flags: [AS_INTEL],
  what: `eager, MKL made to use AVX-512, ${SETTING}`,
};

/** PyTorch as installed; and where its MKL has AVX-512 kernels that it does not use by itself, made to use them. */
export function torchVariants(): { variants: TorchVariant[]; note: string } {
  let cpu = '';
  try {
    cpu = readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return { variants: [INSTALLED], note: 'No /proc/cpuinfo: PyTorch as installed only.' };
  }
  if (!/\bavx512f\b/.test(cpu)) {
    return { variants: [INSTALLED], note: 'This processor has no AVX-512: no rows of PyTorch with MKL on AVX-512.' };
  }
  if (/GenuineIntel/.test(cpu)) {
    return { variants: [INSTALLED], note: 'PyTorch as installed uses AVX-512 on this processor.' };
  }
  return { variants: [INSTALLED, AVX512], note: 'PyTorch also with its MKL made to use AVX-512.' };
}
