import { afterEach, expect, test, vi } from "vitest";
import { mendBrowserLanguage, usableTag } from "./browser-language";

afterEach(() => { vi.unstubAllGlobals(); });

test("a name with its system's suffix is usable without it", () => {
  expect(usableTag(["en-US@posix"])).toBe("en-US");
  expect(usableTag(["de_DE.UTF-8"])).toBe("de-DE");
});

test("where no name is usable, there is still one", () => {
  expect(usableTag(["", "?"])).toBe("en-US");
});

test("numbers can be written in the language of a browser that names it strangely", () => {
  vi.stubGlobal("navigator", { language: "en-US@posix", languages: ["en-US@posix"] });
  expect(() => new Intl.NumberFormat(navigator.language)).toThrow(RangeError);
  mendBrowserLanguage();
  expect(new Intl.NumberFormat(navigator.language).format(0.5)).toBe("0.5");
});

test("a usable name stays as it is", () => {
  vi.stubGlobal("navigator", { language: "fr-CA", languages: ["fr-CA"] });
  mendBrowserLanguage();
  expect(navigator.language).toBe("fr-CA");
});
