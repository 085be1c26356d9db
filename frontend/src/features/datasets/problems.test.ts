import { describe, expect, it } from "vitest";
import type { Problem } from "@/api/types";
import { groupProblems } from "./problems";

const problem = (row: number, code: string): Problem => ({ row, column: null, code, message: `${code} in row ${String(row)}` });

describe("problems grouped by kind", () => {
  it("puts the most frequent kind first, with the server's count of all of them", () => {
    const kinds = groupProblems([problem(1, "empty"), problem(2, "role"), problem(3, "role")], { role: 214, empty: 1 });
    expect(kinds.map(({ code, count, examples }) => [code, count, examples.length])).toEqual([["role", 214, 2], ["empty", 1, 1]]);
  });

  it("keeps a kind that has a count but no example", () => {
    expect(groupProblems([], { too_long: 3 })).toEqual([{ code: "too_long", count: 3, examples: [] }]);
  });

  it("counts the examples when the server sent no count", () => {
    expect(groupProblems([problem(7, "json")], {})).toEqual([{ code: "json", count: 1, examples: [problem(7, "json")] }]);
  });
});
