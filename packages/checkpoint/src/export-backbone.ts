import { loadCheckpoint } from './load-checkpoint.js';
import { selectParameters } from './parameters.js';
import { writeSafetensors, type WrittenFile } from './write-safetensors.js';

/** What {@link exportBackbone} takes. */
export interface ExportBackboneOptions {
  /** Run directory, checkpoint folder or safetensors file of a whole training state. */
  readonly checkpoint: string;
  /** Whose backbone: the teacher's is the one that is evaluated and deployed. */
  readonly from: 'teacher' | 'student';
  /** File to write. */
  readonly out: string;
}

/**
 * Writes a backbone alone, under bare names (`blocks.0.attn.qkv.weight`) as the published backbones have, into one
 * safetensors file. The metadata tells the step and the configuration of the run.
 *
 * @throws SslError `CHECKPOINT_UNREADABLE`, `NO_PARAMS_MATCHED` where the checkpoint has no such network, `WRITE_FAILED`
 *   where the file cannot be written
 */
export async function exportBackbone(options: ExportBackboneOptions): Promise<WrittenFile> {
  const { checkpoint: path, from, out } = options;
  const checkpoint = await loadCheckpoint(path);
  const prefix = `${from}.backbone.`;
  // The specs first, so that a wrong choice is found before anything is read, and the message knows all names.
  selectParameters(checkpoint.specs, prefix);
  const tensors = selectParameters(await checkpoint.read(prefix), prefix);
  const { manifest } = checkpoint;
  // Readers of the PyTorch world want to see `format: pt`.
  return writeSafetensors(out, tensors, {
    format: 'pt',
    network: from,
    ...(manifest === undefined ? {} : { step: String(manifest.step), config: JSON.stringify(manifest.config) }),
  });
}
