/** What is shown when a whole page cannot be. */
import { useTranslation } from "react-i18next";
import { isRouteErrorResponse, useRouteError } from "react-router";
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

export function PageFault() {
  const { t } = useTranslation();
  const error = useRouteError();
  if (isRouteErrorResponse(error) && error.status === 404) return <NotFound />;
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

export function Waiting() {
  return <div className="page"><Skeleton rows={4} /></div>;
}
