/** Deployments: what answers now, under which name. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Suspense } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";
import type { Deployment } from "@/api/types";
import { StateBadge } from "@/design/Badge";
import { Button, ButtonLink } from "@/design/Button";
import { CopyButton } from "@/design/CodeBlock";
import { Facts, Inspector } from "@/design/Inspector";
import { MoreButton } from "@/design/MoreButton";
import { EmptyState, ErrorNotice, Loaded, Skeleton } from "@/design/Notices";
import { Page } from "@/design/Page";
import { RowButton, Table } from "@/design/Table";
import { Thread } from "@/design/Thread";
import { formatAgo, formatTime } from "@/i18n/formats";
import { deploymentsQuery, useDeploymentSwitch } from "../api";
import UseFromCode from "./UseFromCode";

export function DeploymentsPage() {
  const { t } = useTranslation(["models", "common"]);
  const [params, setParams] = useSearchParams();
  const deployments = useInfiniteQuery(deploymentsQuery);
  const selected = deployments.data?.find((deployment) => deployment.id === params.get("deployment"));
  const open = (deployment: Deployment) => { setParams({ deployment: deployment.id }); };
  return (
    <Page title={t("common:nav.deployments")} lead={t("models:deploymentsLead")}
      inspector={selected && <DeploymentInspector key={selected.id} deployment={selected} onClose={() => { setParams({}); }} />}>
      <Loaded query={deployments} rows={4}>
        {(all) => (all.length === 0 ? <NoDeployments /> : <DeploymentTable deployments={all} current={selected?.id ?? null} onOpen={open} />)}
      </Loaded>
      <MoreButton query={deployments} />
    </Page>
  );
}

function NoDeployments() {
  const { t } = useTranslation(["models", "common"]);
  return (
    <EmptyState icon="server" title={t("models:noDeploymentsTitle")} action={<ButtonLink to="/training/new" icon="curve">{t("common:shell.newJob")}</ButtonLink>}>
      <p>{t("models:noDeployments")}</p>
    </EmptyState>
  );
}

interface DeploymentTableProps {
  deployments: Deployment[];
  current: string | null;
  onOpen: (deployment: Deployment) => void;
}

function DeploymentTable({ deployments, current, onOpen }: DeploymentTableProps) {
  const { t } = useTranslation("models");
  return (
    <Table label={t("deployments")} rows={deployments} rowKey={(row) => row.id} current={current} onOpen={onOpen}
      columns={[
        { header: t("alias"), cell: (row) => <RowButton onPress={() => { onOpen(row); }}>{row.alias}</RowButton> },
        { header: t("state"), cell: (row) => <StateBadge state={row.state} /> },
        { header: t("model"), cell: (row) => <Thread digest={row.digest} />, wide: true },
        { header: t("base"), cell: (row) => row.base_model, wide: true },
        { header: t("changed"), cell: (row) => <span title={formatTime(row.updated_at)}>{formatAgo(row.updated_at)}</span>, wide: true },
      ]} />
  );
}

function DeploymentInspector({ deployment, onClose }: { deployment: Deployment; onClose: () => void }) {
  const { t } = useTranslation("models");
  const change = useDeploymentSwitch(deployment.id);
  const stopped = deployment.state === "stopped" || deployment.state === "failed";
  return (
    <Inspector title={deployment.alias} onClose={onClose}>
      <div className="row">
        <StateBadge state={deployment.state} />
        <CopyButton text={() => deployment.alias} label={t("copyAlias")} />
      </div>
      {deployment.error && <ErrorNotice error={new Error(deployment.error)} title={t("notServing")} />}
      {change.error && <ErrorNotice error={change.error} />}
      <Facts facts={[
        [t("alias"), <code key="alias">{deployment.alias}</code>],
        [t("model"), <Thread key="thread" digest={deployment.digest} />],
        [t("base"), deployment.base_model],
        [t("created"), formatTime(deployment.created_at)],
        [t("changed"), formatTime(deployment.updated_at)],
      ]} />
      <div className="row">
        {deployment.state === "ready" && (
          <ButtonLink to={`/chat?model=${encodeURIComponent(deployment.alias)}`} variant="primary" icon="chat">{t("talk")}</ButtonLink>
        )}
        {stopped
          ? <Button icon="arrow" pending={change.isPending} onClick={() => { change.mutate("start"); }}>{t("start")}</Button>
          : <Button icon="stop" pending={change.isPending} onClick={() => { change.mutate("stop"); }}>{t("stop")}</Button>}
      </div>
      <Suspense fallback={<Skeleton rows={3} />}><UseFromCode model={deployment.alias} /></Suspense>
    </Inspector>
  );
}
