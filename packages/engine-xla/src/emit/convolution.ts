import { convolutionGeometry } from '@selfsup/compile';
import type { EmitOperation } from './operation.js';
import { range, type FunctionWriter, type Tensor, type TensorType } from './writer.js';

/** How a convolution of StableHLO runs; pairs are rows, columns. */
interface Convolution {
  /** Dimensions of image, filter and result: `[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]`. */
  readonly layout: string;
  readonly strides: readonly number[];
  readonly padding: readonly (readonly number[])[];
  readonly imageDilation: readonly number[];
  readonly filterDilation: readonly number[];
  readonly featureGroups?: number;
  readonly batchGroups?: number;
}

const FORWARD_LAYOUT = '[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]';
const PRECISION = 'precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]';

const listText = (numbers: readonly number[]): string => `[${numbers.join(', ')}]`;
const pairsText = (pairs: readonly (readonly number[])[]): string => `[${pairs.map(listText).join(', ')}]`;

function convolve(w: FunctionWriter, image: Tensor, filter: Tensor, type: TensorType, c: Convolution): Tensor {
  const window = [
    `stride = ${listText(c.strides)}`,
    `pad = ${pairsText(c.padding)}`,
    `lhs_dilate = ${listText(c.imageDilation)}`,
    `rhs_dilate = ${listText(c.filterDilation)}`,
  ].join(', ');
  const groups = `batch_group_count = ${c.batchGroups ?? 1} : i64, feature_group_count = ${c.featureGroups ?? 1} : i64`;
  const text = `stablehlo.convolution(${image.name}, ${filter.name}) dim_numbers = ${c.layout}, window = {${window}} {${groups}, ${PRECISION}}`;
  return w.line(text, [image, filter], type);
}

/** Paddings [top, bottom, left, right] as pairs. */
const paddingPairs = ([top, bottom, left, right]: readonly number[]): number[][] => [
  [top, bottom],
  [left, right],
];

const convolution: EmitOperation = (w, { attrs, inputs: [x, filter], outputs: [y] }) => {
  const { strides, dilations, padding, groups } = convolutionGeometry(attrs);
  return [
    convolve(w, x, filter, y, {
      layout: FORWARD_LAYOUT,
      strides,
      padding: paddingPairs(padding),
      imageDilation: [1, 1],
      filterDilation: dilations,
      featureGroups: groups,
    }),
  ];
};

/** dy with its pixels `strides` apart, under the filter turned around: inputs and outputs of each group swapped. */
const convolutionInputGrad: EmitOperation = (w, { attrs, inputs: [dy, filter], outputs: [dx] }) => {
  const { strides, dilations, padding, groups } = convolutionGeometry(attrs);
  const [height, width, inner, outer] = filter.shape;
  const turned = w.line(`stablehlo.reverse ${filter.name}, dims = [0, 1]`, [filter], filter);
  const grouped = w.reshape(turned, [height, width, inner, groups, outer / groups]);
  const swapped = w.reshape(w.transpose(grouped, [0, 1, 4, 3, 2]), [height, width, outer / groups, groups * inner]);
  return [
    convolve(w, dy, swapped, dx, {
      layout: FORWARD_LAYOUT,
      strides: [1, 1],
      padding: range(2).map((i) => {
        const reach = dilations[i] * (filter.shape[i] - 1);
        const low = reach - padding[2 * i];
        return [low, dx.shape[1 + i] + reach - low - ((dy.shape[1 + i] - 1) * strides[i] + 1)];
      }),
      imageDilation: strides,
      filterDilation: dilations,
      featureGroups: groups,
    }),
  ];
};

/** x under dy as the filter, its pixels `strides` apart; images are summed over like channels elsewhere. */
const convolutionFilterGrad: EmitOperation = (w, { attrs, inputs: [x, dy], outputs: [dw] }) => {
  const { strides, dilations, padding, groups } = convolutionGeometry(attrs);
  return [
    convolve(w, x, dy, dw, {
      layout: '[f, 0, 1, b]x[i, 0, 1, o]->[0, 1, b, f]',
      strides: dilations,
      padding: range(2).map((i) => {
        const low = padding[2 * i];
        const reach = (dy.shape[1 + i] - 1) * strides[i] + 1;
        return [low, (dw.shape[i] - 1) * dilations[i] + reach - x.shape[1 + i] - low];
      }),
      imageDilation: [1, 1],
      filterDilation: strides,
      batchGroups: groups,
    }),
  ];
};

/** Convolutions of NHWC images. */
export const CONVOLUTION = {
  convolution,
  convolution_input_grad: convolutionInputGrad,
  convolution_filter_grad: convolutionFilterGrad,
} satisfies Record<string, EmitOperation>;
