/** Code to take away: scrolls sideways, copies with one press. */
import { useEffect, useState } from "react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Icon } from "./Icon";

const SHOWN_MS = 1600;

export function CopyButton({ text, label }: { text: () => string; label?: string }) {
  const { t } = useTranslation();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => { setCopied(false); }, SHOWN_MS);
    return () => { clearTimeout(timer); };
  }, [copied]);
  const name = label ?? t("action.copy");
  return (
    <button type="button" className="button button-quiet button-icon" aria-label={copied ? t("action.copied") : name} title={name}
      onClick={() => void navigator.clipboard.writeText(text()).then(() => { setCopied(true); })}>
      <Icon name={copied ? "check" : "copy"} />
    </button>
  );
}

export function CodeBlock({ code, label, children }: { code: string; label?: string; children?: ReactNode }) {
  return (
    <div className="code">
      {label && <div className="code-label">{label}</div>}
      <pre tabIndex={0}>{children ?? <code>{code}</code>}</pre>
      <CopyButton text={() => code} />
    </div>
  );
}
