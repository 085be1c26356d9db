/** Problems by kind: how many there are of each, and the examples the server chose to show. */
import type { Problem } from "@/api/types";

export interface ProblemKind {
  code: string;
  count: number;
  examples: Problem[];
}

/** Group problems by code, the most frequent kind first. Counts are of all problems, not only of those shown. */
export function groupProblems(problems: Problem[], counts: Record<string, number>): ProblemKind[] {
  const examples = Map.groupBy(problems, (problem) => problem.code);
  const codes = new Set([...Object.keys(counts), ...examples.keys()]);
  return [...codes]
    .map((code) => {
      const shown = examples.get(code) ?? [];
      return { code, count: Math.max(counts[code] ?? 0, shown.length), examples: shown };
    })
    .sort((one, other) => other.count - one.count || one.code.localeCompare(other.code));
}
