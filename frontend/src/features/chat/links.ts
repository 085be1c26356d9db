/** Which addresses in a model's answer may become links. */
const ALLOWED = new Set(["http:", "https:", "mailto:"]);

/** The address if it leads outside by an allowed scheme; null for scripts, data, and paths of this very site. */
export function outsideAddress(href: string | undefined): string | null {
  if (!href || !URL.canParse(href)) return null;
  const url = new URL(href);
  return ALLOWED.has(url.protocol) ? url.href : null;
}
