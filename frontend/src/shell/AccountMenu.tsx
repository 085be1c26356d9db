/** The person: name, theme, language, sign out. A native popover: closes on Escape and on a press outside. */
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { csrfToken } from "@/api/browser";
import { useSession } from "@/api/session";
import { Icon } from "@/design/Icon";
import { currentLanguage, type Language, languages, speak } from "@/i18n";
import { chooseTheme, storedTheme, type Theme, themes } from "./theme";

function ThemeChoice() {
  const { t } = useTranslation();
  const [theme, setTheme] = useState<Theme>(storedTheme);
  return (
    <fieldset className="menu-choice">
      <legend>{t("shell.theme")}</legend>
      {themes.map((option) => (
        <label key={option}>
          <input type="radio" name="theme" checked={theme === option}
            onChange={() => {
              setTheme(option);
              chooseTheme(option);
            }} />
          {t(`shell.${option}`)}
        </label>
      ))}
    </fieldset>
  );
}

function LanguageChoice() {
  const { t } = useTranslation();
  return (
    <fieldset className="menu-choice">
      <legend>{t("shell.language")}</legend>
      {Object.entries(languages).map(([tag, name]) => (
        <label key={tag}>
          <input type="radio" name="language" checked={currentLanguage() === tag} onChange={() => void speak(tag as Language)} />
          <span lang={tag}>{name}</span>
        </label>
      ))}
    </fieldset>
  );
}

export function AccountMenu() {
  const { t } = useTranslation();
  const { user, role } = useSession();
  const id = useId();
  return (
    <>
      <button type="button" className="button button-quiet button-icon" popoverTarget={id} aria-label={t("shell.account")} title={user.email}>
        <Icon name="user" />
      </button>
      <div id={id} popover="auto" className="menu" role="group" aria-label={t("shell.account")}>
        <div>
          <strong>{user.name || user.email}</strong>
          <div className="quiet small">{[user.name && user.email, role && t(`role.${role}`)].filter(Boolean).join(" · ")}</div>
        </div>
        <ThemeChoice />
        <LanguageChoice />
        <a href="/reference">{t("shell.reference")}</a>
        <form method="post" action="/accounts/sign-out">
          <input type="hidden" name="csrfmiddlewaretoken" value={csrfToken()} />
          <button type="submit" className="button">{t("shell.signOut")}</button>
        </form>
      </div>
    </>
  );
}
