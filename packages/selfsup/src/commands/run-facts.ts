import { budgetOf, peakLearningRate, type RecipeConfig, type RunLength } from '@selfsup/recipes';

/** What follows from a configuration and its data; stored beside it. */
export interface RunFacts extends RunLength {
  readonly images: number;
  readonly batchSize: number;
  readonly groups: number;
  readonly accumulate: number;
  readonly peakLearningRate: number;
  readonly learningRateRule: string;
  readonly codingRateEps?: number;
  readonly expansionMax?: number;
  readonly expansionCollapsed?: number;
  readonly teacher?: string;
  readonly teacherMomentum?: readonly [number, number];
  readonly crops: string;
}

export function runFacts(config: RecipeConfig, images: number, length: RunLength): RunFacts {
  const { batchSize, groups, accumulate, crops, optimizer } = config;
  const budget = budgetOf(config);
  return {
    images,
    totalSteps: length.totalSteps,
    warmupSteps: length.warmupSteps,
    stepsPerEpoch: length.stepsPerEpoch,
    batchSize,
    groups,
    accumulate,
    peakLearningRate: peakLearningRate(optimizer, batchSize),
    learningRateRule: optimizer.rule,
    ...('codingRateEps' in config.loss ? { codingRateEps: config.loss.codingRateEps } : {}),
    ...(budget === undefined ? {} : { expansionMax: budget.maximum, expansionCollapsed: budget.collapsed }),
    ...(config.recipe === 'distill'
      ? { teacher: config.teacher.path }
      : { teacherMomentum: [config.teacher.momentum, config.teacher.momentumEnd] }),
    crops: `${crops.global.views.length} x ${crops.global.size} + ${crops.local.count} x ${crops.local.size}`,
  };
}

/** At most four digits. */
const short = (value: number): string => String(Number(value.toPrecision(4)));

/** The same for people, one fact a line. */
export function runFactsText(facts: RunFacts, heldOut?: number): string {
  const { batchSize, groups, accumulate, totalSteps, teacherMomentum: momentum } = facts;
  const parts = accumulate === 1 ? '' : `, in ${accumulate} parts`;
  const lines: [string, string][] = [
    ['pictures', `${facts.images} to learn from${heldOut === undefined ? '' : `, ${heldOut} held out to test with`}`],
    [
      'steps',
      `${totalSteps} of ${batchSize} pictures${parts}; ${short(facts.stepsPerEpoch)} an epoch, ${facts.warmupSteps} to warm up`,
    ],
    ['groups', groups === 1 ? '1, the whole batch' : `${groups} of ${batchSize / groups} pictures`],
    ['crops', `${facts.crops} pixels`],
    ['learning rate', `${short(facts.peakLearningRate)} at most (rule ${facts.learningRateRule})`],
  ];
  if (facts.codingRateEps !== undefined && facts.expansionMax !== undefined && facts.expansionCollapsed !== undefined)
    lines.push([
      'coding rate',
      `eps ${short(facts.codingRateEps)}; ${short(facts.expansionCollapsed)} collapsed, ${short(facts.expansionMax)} at most`,
    ]);
  if (momentum !== undefined) lines.push(['teacher', `momentum ${momentum[0]} to ${momentum[1]}`]);
  if (facts.teacher !== undefined) lines.push(['teacher', facts.teacher]);
  return lines.map(([name, value]) => `  ${name.padEnd(14)}${value}`).join('\n');
}

/** A remark where a run is shorter than its own ramp; undefined where it is not. */
export function shortRunNote({ totalSteps, warmupSteps }: RunLength): string | undefined {
  if (totalSteps > warmupSteps) return undefined;
  return (
    `warning: the learning rate rises for ${warmupSteps} steps and the run has ${totalSteps}; ` +
    'for a short run set length.warmupSteps, for example --set length.warmupSteps=' +
    `${Math.max(1, Math.floor(totalSteps / 10))}`
  );
}
