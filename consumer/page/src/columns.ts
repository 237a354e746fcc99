const LEAST_PX = 330;
const MOST_STAGES = 6;

/** How many columns a camera takes: all with several stages the same, so that none begins amid another's row. */
export function spanFor(stages: number, most: number, columns: number): number {
  return stages > 1 ? Math.max(1, Math.min(most, columns)) : 1;
}

/** How many tiles stand side by side: as fit, and so that the stages of a camera stay in one row where they can. */
export function columnsFor(width: number, tiles: number, stages: number): number {
  const fit = Math.max(1, Math.floor(width / LEAST_PX));
  if (stages > 1 && stages <= MOST_STAGES && fit >= stages) {
    return Math.min(stages * Math.floor(fit / stages), Math.max(tiles, 1));
  }
  return Math.max(1, Math.min(fit, tiles));
}
