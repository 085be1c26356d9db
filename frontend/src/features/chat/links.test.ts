import { describe, expect, it } from "vitest";
import { outsideAddress } from "./links";

describe("links in a model's answer", () => {
  it.each(["javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "data:text/html,x", "vbscript:x", "/accounts/sign-out", "//evil.example", "#x", "", undefined])(
    "%s is not one", (href) => { expect(outsideAddress(href)).toBeNull(); });

  it.each(["https://example.org/a", "http://example.org/", "mailto:a@example.org"])("%s is one", (href) => {
    expect(outsideAddress(href)).toBe(href);
  });
});
