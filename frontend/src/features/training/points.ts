/** The arithmetic of the curve: merging, smoothing, and when it will end. */
import type { MetricPoint } from "@/api/types";

/** Points by ascending step; a resumed job repeats steps, and the later report of a step wins. */
export function mergePoints(before: MetricPoint[], fresh: MetricPoint[]): MetricPoint[] {
  const first = fresh[0];
  if (!first) return before;
  const last = before.at(-1);
  if (!last || first.step > last.step) return [...before, ...fresh];
  const byStep = new Map([...before, ...fresh].map((point) => [point.step, point]));
  return [...byStep.values()].sort((one, other) => one.step - other.step);
}

/**
 * Exponential moving average, corrected for its start (as in Adam), so that the first points are not pulled to zero.
 * `weight` from 0 (the values themselves) to below 1; gaps stay gaps.
 */
export function smooth(values: (number | null)[], weight: number): (number | null)[] {
  let average = 0;
  let correction = 1;
  return values.map((value) => {
    if (value === null) return null;
    average = weight * average + (1 - weight) * value;
    correction *= weight;
    return average / (1 - correction);
  });
}

export interface Sighting {
  step: number;
  at: number;
}

/** Seconds left at the pace between two sightings of the step; null while there is no pace yet. */
export function secondsLeft(first: Sighting | null, last: Sighting | null, totalSteps: number | null): number | null {
  if (!first || !last || !totalSteps || last.step <= first.step) return null;
  const secondsPerStep = (last.at - first.at) / 1000 / (last.step - first.step);
  return Math.max(0, (totalSteps - last.step) * secondsPerStep);
}
