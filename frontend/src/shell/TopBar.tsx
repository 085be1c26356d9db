/** The top bar: the product, organization and project, search, the person. */
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { IconButton } from "@/design/Button";
import { Icon } from "@/design/Icon";
import { AccountMenu } from "./AccountMenu";
import { Switcher } from "./Switcher";

/** Three threads crossing three: the mark. */
function Mark() {
  return (
    <svg width="20" height="20" viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" aria-hidden="true">
      <path d="M5 2v10M5 16v2M10 2v2M10 8v10M15 2v10M15 16v2M2 5h6M12 5h6M2 14h11M17 14h1" />
    </svg>
  );
}

const onMac = navigator.userAgent.includes("Mac");

export function TopBar({ onMenu, onSearch }: { onMenu: () => void; onSearch: () => void }) {
  const { t } = useTranslation();
  return (
    <header className="topbar">
      <IconButton icon="menu" label={t("shell.menu")} className="menu-button" onClick={onMenu} />
      <Link to="/" className="brand" aria-label={t("product")}><Mark /><span className="wide-only">{t("product")}</span></Link>
      <Switcher />
      <div className="grow" />
      <button type="button" className="search-button" onClick={onSearch} aria-keyshortcuts="Meta+K Control+K">
        <Icon name="search" /><span className="sr-only">{t("shell.search")}</span>
        <span className="wide-only" aria-hidden="true">{t("shell.searchShort")}</span>
        <kbd className="wide-only" aria-hidden="true">{onMac ? "⌘K" : "Ctrl K"}</kbd>
      </button>
      <AccountMenu />
    </header>
  );
}
