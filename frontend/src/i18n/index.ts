/** Words: English is the source, every other language is proven complete by a test. */
import i18next, { type ResourceLanguage } from "i18next";
import { initReactI18next } from "react-i18next";

export const languages = { en: "English", de: "Deutsch" } as const;
export type Language = keyof typeof languages;

const STORED = "lw-language";
const catalogues = import.meta.glob<ResourceLanguage>("./locales/*/*.json", { import: "default" });

function preferred(): Language {
  const wanted = [localStorage.getItem(STORED) ?? "", ...navigator.languages];
  const known = wanted.map((tag) => tag.slice(0, 2)).find((tag) => tag in languages);
  return (known as Language | undefined) ?? "en";
}

i18next.on("languageChanged", (language) => { document.documentElement.lang = language; });

/** Load the words that every page needs. Routes load their own beside their code. */
export async function startWords(): Promise<void> {
  await i18next
    .use({
      type: "backend",
      read: (language: string, namespace: string) => {
        const load = catalogues[`./locales/${language}/${namespace}.json`];
        return load ? load() : Promise.reject(new Error(`No catalogue ${language}/${namespace}.`));
      },
    })
    .use(initReactI18next)
    .init({
      lng: preferred(),
      fallbackLng: "en",
      ns: ["common"],
      defaultNS: "common",
      interpolation: { escapeValue: false },
    });
}

export async function speak(language: Language): Promise<void> {
  localStorage.setItem(STORED, language);
  await i18next.changeLanguage(language);
}

export function currentLanguage(): Language {
  return i18next.language as Language;
}

/** Load a route's words together with its code: no second round trip. */
export async function withWords<T>(namespaces: string[], code: Promise<T>): Promise<T> {
  const [loaded] = await Promise.all([code, i18next.loadNamespaces(namespaces)]);
  return loaded;
}
