/** Light, dark, or as the system says; kept on this device. */
export const themes = ["light", "dark", "system"] as const;
export type Theme = (typeof themes)[number];

const STORED = "lw-theme";

export function storedTheme(): Theme {
  const stored = localStorage.getItem(STORED);
  return themes.find((theme) => theme === stored) ?? "system";
}

export function chooseTheme(theme: Theme): void {
  localStorage.setItem(STORED, theme);
  showTheme(theme);
}

export function showTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}
