/** What a page shows when there is nothing yet, when it waits, and when something went wrong. */
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { ApiFault } from "@/api/faults";
import { Button } from "./Button";
import { Icon, type IconName } from "./Icon";

export function EmptyState({ icon, title, children, action }: { icon: IconName; title: string; children: ReactNode; action?: ReactNode }) {
  return (
    <section className="empty">
      <Icon name={icon} size={24} />
      <h2>{title}</h2>
      {children}
      {action}
    </section>
  );
}

function FaultMeta({ fault }: { fault: ApiFault }) {
  const { t } = useTranslation();
  return (
    <div className="notice-meta">
      {fault.code && <span>{t("fault.code")} <code>{fault.code}</code></span>}
      {fault.requestId && <span>{t("fault.request")} <code>{fault.requestId}</code></span>}
    </div>
  );
}

export function ErrorNotice({ error, title, onRetry }: { error: unknown; title?: string; onRetry?: () => void }) {
  const { t } = useTranslation();
  const fault = error instanceof ApiFault ? error : null;
  const unreachable = fault?.status === 0;
  return (
    <div className="notice notice-bad" role="alert">
      <Icon name="alert" />
      <div className="stack">
        <h3>{title ?? t("fault.title")}</h3>
        <p>{unreachable ? t("fault.network") : error instanceof Error ? error.message : t("fault.safe")}</p>
        {fault && fault.status >= 500 && <p className="quiet">{t("fault.safe")}</p>}
        {fault && <FaultMeta fault={fault} />}
        {onRetry && <div><Button icon="refresh" onClick={onRetry}>{t("action.retry")}</Button></div>}
      </div>
    </div>
  );
}

export function Skeleton({ rows = 0 }: { rows?: number }) {
  const { t } = useTranslation();
  if (rows === 0) return <span className="skeleton skeleton-block" role="status" aria-label={t("loading")} />;
  return (
    <div className="skeleton-table" role="status" aria-label={t("loading")}>
      {Array.from({ length: rows }, (_, index) => <span key={index} className="skeleton" />)}
    </div>
  );
}

interface Query<T> {
  data: T | undefined;
  error: unknown;
  refetch: () => unknown;
}

/** Show a query's skeleton, fault or content; what is already there stays while it is refreshed. */
export function Loaded<T>({ query, rows = 0, children }: { query: Query<T>; rows?: number; children: (value: T) => ReactNode }) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <ErrorNotice error={query.error} onRetry={() => void query.refetch()} />;
  return <Skeleton rows={rows} />;
}
