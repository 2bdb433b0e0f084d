/** What a worker thread of the pool does with a task, reached through worker.cjs. */
import { workerData } from 'node:worker_threads';
import { runCropTask, type CropOutcome, type CropTask, type PoolSetup } from './pool/crop-task.js';

export function runTask(task: CropTask): Promise<CropOutcome> {
  return runCropTask(workerData as PoolSetup, task);
}
