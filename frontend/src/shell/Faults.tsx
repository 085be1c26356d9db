/** What is shown when a whole page cannot be. */
import { Component, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { ApiFault } from "@/api/faults";
import { Button, ButtonLink } from "@/design/Button";
import { EmptyState, ErrorNotice, Skeleton } from "@/design/Notices";

export function NotFound() {
  const { t } = useTranslation();
  return (
    <div className="page">
      <EmptyState icon="search" title={t("fault.notFoundTitle")} action={<ButtonLink to="/" icon="home">{t("fault.home")}</ButtonLink>}>
        <p>{t("fault.notFound")}</p>
      </EmptyState>
    </div>
  );
}

/** Somebody has joined, and no project is open to them yet. */
export function NoProject() {
  const { t } = useTranslation();
  return (
    <div className="page">
      <EmptyState icon="search" title={t("shell.noProject")}><p>{t("fault.noProject")}</p></EmptyState>
    </div>
  );
}

function PageFault({ error }: { error: unknown }) {
  const { t } = useTranslation();
  // The browser is already on its way to the sign-in page.
  if (error instanceof ApiFault && error.status === 401) return <Waiting />;
  return (
    <div className="page">
      {error instanceof ApiFault
        ? <ErrorNotice error={error} />
        : <ErrorNotice error={new Error(t("fault.crash"))} title={t("fault.crashTitle")} />}
      <div><Button icon="refresh" onClick={() => { location.reload(); }}>{t("action.reload")}</Button></div>
    </div>
  );
}

/** Keeps one page's fault from taking the shell down. Give it the path as key: the next page starts clean. */
export class FaultBoundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: null };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    return this.state.error === null ? this.props.children : <PageFault error={this.state.error} />;
  }
}

export function Waiting() {
  return <div className="page"><Skeleton rows={4} /></div>;
}
