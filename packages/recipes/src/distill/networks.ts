import { vit, vitConfig, type Vit, type VitConfig } from '@selfsup/backbone-vit';
import { Rng, SslError } from '@selfsup/core';
import { projectionHead, type ProjectionHead } from '@selfsup/ema-distill';
import { dinoParameterRule, parameterGroups } from '@selfsup/optim';
import type { DistillConfig } from '../config/types.js';
import { prefixed, type TrainedNetworks } from '../training/networks.js';

/** Where the teacher's weights are in the engine. Nothing updates them, and checkpoints leave them out. */
export const FROZEN = 'frozen.backbone.';

/** Kinds of tokens that are compared. */
export const TOKEN_KINDS = ['cls', 'patch'] as const;
export type TokenKind = (typeof TOKEN_KINDS)[number];

/** A student, linear maps to the teacher's width (`head.cls.`, `head.patch.`), and the teacher. */
export interface DistillNetworks extends TrainedNetworks {
  readonly teacher: Vit;
  /** None where both backbones have the same width; none for patches that do not count. */
  readonly projections: Readonly<Partial<Record<TokenKind, ProjectionHead>>>;
}

function projectionsTo(width: number, student: VitConfig, kinds: readonly TokenKind[]): DistillNetworks['projections'] {
  if (student.width === width) return {};
  // Of unit length, which a cosine does not see.
  const linear = (): ProjectionHead => projectionHead({ inputWidth: student.width, layers: 1, outputWidth: width });
  return Object.fromEntries(kinds.map((kind) => [kind, linear()]));
}

/** Student and teacher of a configuration. @throws SslError `BAD_OPTION` without a teacher, `UNKNOWN_NAME` */
export function buildDistillNetworks({ arch, backbone: changes, teacher, loss }: DistillConfig): DistillNetworks {
  if (teacher.backbone.width === undefined) {
    throw new SslError('BAD_OPTION', {
      where: 'recipes.distill',
      expected: 'a frozen teacher',
      got: 'none',
      fix: 'name one, e.g. selfsup train distill --teacher runs/first; in programs, see withFrozenTeacher',
    });
  }
  const frozen = vit(teacher.backbone as VitConfig);
  const backbone = vit(vitConfig(arch, changes));
  const kinds = TOKEN_KINDS.filter((kind) => kind === 'cls' || loss.patchWeight > 0);
  const projections = projectionsTo(frozen.config.width, backbone.config, kinds);
  const heads = Object.entries(projections).map(([kind, head]) => ({ prefix: `head.${kind}.`, head }));
  const specs = Object.assign(
    prefixed('backbone.', backbone.parameterSpecs()),
    ...heads.map(({ prefix, head }) => prefixed(prefix, head.parameterSpecs())),
  ) as TrainedNetworks['specs'];
  return {
    backbone,
    teacher: frozen,
    projections,
    specs,
    groups: parameterGroups(specs, dinoParameterRule(), {
      // Nothing is masked here.
      frozen: backbone.config.maskToken ? ['backbone.mask_token'] : [],
    }),
    init: (seed) =>
      Object.assign(
        prefixed('backbone.', backbone.init(Rng.of(seed, 'init.backbone'))),
        ...heads.map(({ prefix, head }) => prefixed(prefix, head.init(Rng.of(seed, `init.${prefix}`)))),
      ) as ReturnType<TrainedNetworks['init']>,
  };
}
