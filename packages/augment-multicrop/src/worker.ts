/** Entry of a worker thread of the pool: called by piscina once per picture. */
import { workerData } from 'node:worker_threads';
import { runCropTask, type CropOutcome, type CropTask, type PoolSetup } from './pool/crop-task.js';

export default function run(task: CropTask): Promise<CropOutcome> {
  return runCropTask(workerData as PoolSetup, task);
}
