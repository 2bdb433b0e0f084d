import { SslError } from '@selfsup/core';
import type { Attribute } from './graph.js';

/** Attributes of a node. */
export type Attributes = Readonly<Record<string, Attribute>>;

function missing(attrs: Attributes, name: string, expected: string): never {
  throw new SslError('BAD_OPTION', {
    where: 'compile.attributes',
    expected: `attribute ${name}: ${expected}`,
    got: String(attrs[name]),
    fix: 'run validateGraph on graphs that were not built by GraphBuilder',
  });
}

/** A number. */
export function numberOf(attrs: Attributes, name: string): number {
  const value = attrs[name];
  return typeof value === 'number' ? value : missing(attrs, name, 'number');
}

/** A list of numbers. */
export function numbersOf(attrs: Attributes, name: string): readonly number[] {
  const value = attrs[name];
  return typeof value === 'object' ? value : missing(attrs, name, 'numbers');
}

/** True or false. */
export function flagOf(attrs: Attributes, name: string): boolean {
  const value = attrs[name];
  return typeof value === 'boolean' ? value : missing(attrs, name, 'boolean');
}

/** A word. */
export function wordOf(attrs: Attributes, name: string): string {
  const value = attrs[name];
  return typeof value === 'string' ? value : missing(attrs, name, 'string');
}

/** Strides, dilations, padding and groups of a convolution. */
export interface ConvolutionGeometry {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** top, bottom, left, right */
  readonly padding: readonly number[];
  readonly groups: number;
}

export function convolutionGeometry(attrs: Attributes): ConvolutionGeometry {
  return {
    strides: numbersOf(attrs, 'strides'),
    dilations: numbersOf(attrs, 'dilations'),
    padding: numbersOf(attrs, 'padding'),
    groups: numberOf(attrs, 'groups'),
  };
}

/** Size, strides and padding of a pooling window. */
export interface WindowGeometry {
  readonly kind: string;
  readonly window: readonly number[];
  readonly strides: readonly number[];
  /** top, bottom, left, right */
  readonly padding: readonly number[];
}

export function windowGeometry(attrs: Attributes): WindowGeometry {
  return {
    kind: wordOf(attrs, 'kind'),
    window: numbersOf(attrs, 'window'),
    strides: numbersOf(attrs, 'strides'),
    padding: numbersOf(attrs, 'padding'),
  };
}
