import { describe, expect, it } from "vitest";
import type { MetricPoint } from "@/api/types";
import { mergePoints, secondsLeft, smooth } from "./points";

const point = (step: number, loss: number): MetricPoint => ({
  step, train_loss: loss, valid_loss: null, train_mean_token_accuracy: null, valid_mean_token_accuracy: null, learning_rate: null, grad_norm: null, tokens_per_second: null,
});

describe("merging points", () => {
  it("appends what came after", () => {
    expect(mergePoints([point(1, 4)], [point(2, 3)]).map((each) => each.step)).toEqual([1, 2]);
  });

  it("lets a resumed job overwrite the steps it repeats, in order", () => {
    const merged = mergePoints([point(1, 4), point(2, 3), point(3, 2)], [point(2, 2.9), point(3, 1.9)]);
    expect(merged.map((each) => [each.step, each.train_loss])).toEqual([[1, 4], [2, 2.9], [3, 1.9]]);
  });

  it("keeps the same array when nothing came, so that nothing is drawn again", () => {
    const before = [point(1, 4)];
    expect(mergePoints(before, [])).toBe(before);
  });
});

describe("smoothing", () => {
  it("changes nothing at weight zero", () => {
    expect(smooth([4, 3, 2], 0)).toEqual([4, 3, 2]);
  });

  it("leaves a constant constant from the first point on", () => {
    for (const value of smooth([2, 2, 2, 2], 0.9)) expect(value).toBeCloseTo(2);
  });

  it("keeps gaps and lies between the extremes", () => {
    const smoothed = smooth([4, null, 1], 0.6);
    expect(smoothed[1]).toBeNull();
    expect(smoothed[2]).toBeGreaterThan(1);
    expect(smoothed[2]).toBeLessThan(4);
  });
});

describe("time left", () => {
  it("goes by the pace seen", () => {
    expect(secondsLeft({ step: 10, at: 0 }, { step: 20, at: 15_000 }, 60)).toBe(60);
  });

  it("is unknown before a second sighting", () => {
    expect(secondsLeft({ step: 10, at: 0 }, { step: 10, at: 9000 }, 60)).toBeNull();
  });
});
