export { SslError, type SslErrorCode, type SslErrorInit } from './errors.js';
export { nearestName, pickNamed } from './names.js';
export { philox4x32, Rng, type StreamName } from './random.js';
export {
  bytesOf,
  checkArrays,
  checkShape,
  formatShape,
  hostArray,
  sameShape,
  sizeOf,
  type DType,
  type HostArray,
  type HostArrays,
  type HostTensor,
  type Shaped,
  type Specs,
  type TensorSpec,
} from './tensors.js';
