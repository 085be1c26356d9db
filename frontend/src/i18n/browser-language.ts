/** A browser may name its language as its system does (`en-US@posix`); `Intl`, and what asks it, refuses that. */
const FALLBACK = "en-US";

function isTag(tag: string): boolean {
  try {
    return Intl.getCanonicalLocales(tag).length > 0;
  } catch {
    return false;
  }
}

/** The first usable name among those given, without what a system appended to it. */
export function usableTag(tags: readonly string[]): string {
  const bare = tags.map((tag) => tag.replace(/[@.].*$/, "").replaceAll("_", "-"));
  return bare.find(isTag) ?? FALLBACK;
}

/** Let `navigator.language` be a name that `Intl` takes. Libraries read it as they load, so this comes first. */
export function mendBrowserLanguage(): void {
  if (isTag(navigator.language)) return;
  const value = usableTag([navigator.language, ...navigator.languages]);
  Object.defineProperty(navigator, "language", { value, configurable: true });
}
