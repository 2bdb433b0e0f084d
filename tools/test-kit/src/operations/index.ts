export { operationContract, type OperationContract } from './contract.js';
export { bool, f32, i32, oneNode, wave, type Operand, type OperationCase, type Out } from './operands.js';
