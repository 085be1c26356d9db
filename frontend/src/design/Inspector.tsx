/** The details of what is selected, beside the list; on a small screen in its place. Escape closes. */
import { type ReactNode, useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { IconButton } from "./Button";

export function Inspector({ title, onClose, children }: { title: string; onClose: () => void; children: ReactNode }) {
  const { t } = useTranslation();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => { heading.current?.focus({ preventScroll: true }); }, [title]);
  return (
    <aside className="inspector" aria-label={title} onKeyDown={(event) => { if (event.key === "Escape") onClose(); }}>
      <header className="inspector-head">
        <h2 tabIndex={-1} ref={heading}>{title}</h2>
        <IconButton icon="close" label={t("action.close")} onClick={onClose} />
      </header>
      {children}
    </aside>
  );
}

export function Facts({ facts }: { facts: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {facts.map(([term, fact]) => (
        <div key={term} style={{ display: "contents" }}>
          <dt>{term}</dt>
          <dd>{fact}</dd>
        </div>
      ))}
    </dl>
  );
}
