import { describe, expect, it } from "vitest";

const files = import.meta.glob<Record<string, unknown>>("./locales/*/*.json", { import: "default", eager: true });

function keysOf(node: unknown, path = ""): string[] {
  if (typeof node === "string") return [path];
  return Object.entries(node as Record<string, unknown>).flatMap(([key, child]) => keysOf(child, path ? `${path}.${key}` : key));
}

function textAt(node: unknown, path: string): string {
  return path.split(".").reduce<unknown>((part, key) => (part as Record<string, unknown>)[key], node) as string;
}

const blanks = (text: string) => [...text.matchAll(/{{\s*(\w+)/g)].map((match) => match[1]).sort();

describe.each(Object.keys(files).filter((path) => path.includes("/en/")))("the catalogue %s", (path) => {
  const english = files[path];
  const german = files[path.replace("/en/", "/de/")];

  it("has the same keys in German", () => {
    expect(keysOf(german).sort()).toEqual(keysOf(english).sort());
  });

  it("fills the same blanks in German", () => {
    for (const key of keysOf(english)) expect([key, blanks(textAt(german, key))]).toEqual([key, blanks(textAt(english, key))]);
  });
});
