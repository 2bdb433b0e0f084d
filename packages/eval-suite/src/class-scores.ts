/** How many classes rank above `label`: a higher score, or the same and a lower number. */
export function rankOfClass(scores: Float64Array, label: number): number {
  let rank = 0;
  for (let c = 0; c < scores.length; c++) {
    if (scores[c] > scores[label] || (scores[c] === scores[label] && c < label)) rank++;
  }
  return rank;
}

/** The class with the highest score; of equal ones the first. */
export function bestClass(scores: Float64Array): number {
  let best = 0;
  for (let c = 1; c < scores.length; c++) if (scores[c] > scores[best]) best = c;
  return best;
}
