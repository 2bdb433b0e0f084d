// The ways PyTorch is run.
import { readFileSync } from 'node:fs';

/** Flag of the peers that makes MKL take its best kernels on processors of other makers too. */
const AS_INTEL = '--mkl-as-intel';

/** A way to run PyTorch: flags of the peer scripts, variables of their environment, and what a row says about it. */
export interface TorchVariant {
  readonly name: string;
  readonly flags: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly what: string;
}

const SETTING = '2 threads, SDPA, foreach AdamW and EMA';
const INSTALLED: TorchVariant = { name: 'torch', flags: [], what: `eager, as installed by pip, ${SETTING}` };
const AVX512: TorchVariant = {
  name: 'torchAvx512',
  flags: [AS_INTEL],
  what: `eager, MKL made to use AVX-512, ${SETTING}`,
};

/** Near to what PyTorch as installed does on an AMD with AVX-512, whose kernels MKL does not take there by itself. */
const AVX2: TorchVariant = {
  name: 'torchAvx2',
  flags: [],
  env: { MKL_ENABLE_INSTRUCTIONS: 'AVX2' },
  what: `eager, MKL held to AVX2, ${SETTING}`,
};

/** PyTorch as installed; where the processor has AVX-512, also with MKL on that one of AVX2 and AVX-512 that it leaves. */
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
    return { variants: [INSTALLED, AVX2], note: 'PyTorch as installed uses AVX-512 here; also with MKL held to AVX2.' };
  }
  return { variants: [INSTALLED, AVX512], note: 'PyTorch also with its MKL made to use AVX-512.' };
}
