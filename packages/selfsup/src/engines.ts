import { enableProdMode } from '@tensorflow/tfjs-core';
import { nearestName, SslError } from '@selfsup/core';
import type { Engine } from '@selfsup/compile';

/** Engines by name; loaded on first use, so that a command pays only for what it runs. */
const ENGINES = ['onnxruntime', 'tfjs'] as const;
export type EngineName = (typeof ENGINES)[number];

/** tfjs backends that come along; others (webgpu, node, node-gpu) must be installed and imported by the user. */
const DEFAULT_BACKEND = 'cpu';

export interface EngineChoice {
  /** `auto`: onnxruntime. An engine asked for by name is never replaced by another. */
  readonly engine?: string | undefined;
  /** tfjs backend, for `tfjs` only. */
  readonly backend?: string | undefined;
  readonly threads?: number | undefined;
}

/**
 * The engine a command was asked for.
 *
 * @throws SslError `ENGINE_MISSING` for an unknown name, `BAD_OPTION` for a backend without the tfjs engine,
 * `BACKEND_MISSING`
 */
export async function chooseEngine({ engine = 'auto', backend, threads }: EngineChoice): Promise<Engine> {
  const name = engine === 'auto' ? (backend === undefined ? 'onnxruntime' : 'tfjs') : engine;
  if (name !== 'tfjs' && backend !== undefined) {
    throw new SslError('BAD_OPTION', {
      where: 'selfsup.engine',
      expected: '--backend together with --engine tfjs',
      got: `--engine ${name} --backend ${backend}`,
      fix: 'leave --backend out, or add --engine tfjs',
    });
  }
  // Every engine needs tfjs's gradients to trace a step; production mode keeps tfjs from advertising on stderr.
  const { tfjsEngine } = await import('@selfsup/compile/node');
  enableProdMode();
  switch (name) {
    case 'onnxruntime': {
      const { onnxruntimeEngine } = await import('@selfsup/engine-onnxruntime');
      return onnxruntimeEngine(threads === undefined ? {} : { threads });
    }
    case 'tfjs':
      return tfjsEngine({ backend: backend ?? DEFAULT_BACKEND });
    default: {
      const near = nearestName(name, ENGINES);
      throw new SslError('ENGINE_MISSING', {
        where: 'selfsup.engine',
        expected: `--engine auto, ${ENGINES.join(' or ')}`,
        got: `"${name}"`,
        fix: near === undefined ? 'use --engine auto' : `did you mean "${near}"`,
        details: { name, known: ['auto', ...ENGINES] },
      });
    }
  }
}
