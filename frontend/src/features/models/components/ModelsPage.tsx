/** Models: every version with its digest, its metrics and the thread back to its data. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link, useSearchParams } from "react-router";
import type { ModelVersion } from "@/api/types";
import { ButtonLink } from "@/design/Button";
import { CodeBlock } from "@/design/CodeBlock";
import { Facts, Inspector } from "@/design/Inspector";
import { MoreButton } from "@/design/MoreButton";
import { EmptyState, Loaded } from "@/design/Notices";
import { Page } from "@/design/Page";
import { RowButton, Table } from "@/design/Table";
import { Thread } from "@/design/Thread";
import { formatAgo, formatBytes, formatFigure, formatTime } from "@/i18n/formats";
import { modelVersionsQuery } from "../api";

export function ModelsPage() {
  const { t } = useTranslation(["models", "common"]);
  const [params, setParams] = useSearchParams();
  const versions = useInfiniteQuery(modelVersionsQuery);
  const selected = versions.data?.find((version) => version.id === params.get("version"));
  const open = (version: ModelVersion) => { setParams({ version: version.id }); };
  return (
    <Page title={t("common:nav.models")} lead={t("models:lead")}
      inspector={selected && <ModelInspector key={selected.id} version={selected} onClose={() => { setParams({}); }} />}>
      <Loaded query={versions} rows={4}>
        {(all) => (all.length === 0 ? <NoModels /> : <ModelTable versions={all} current={selected?.id ?? null} onOpen={open} />)}
      </Loaded>
      <MoreButton query={versions} />
    </Page>
  );
}

function NoModels() {
  const { t } = useTranslation(["models", "common"]);
  return (
    <EmptyState icon="cube" title={t("models:emptyTitle")} action={<ButtonLink to="/training/new" icon="curve">{t("common:shell.newJob")}</ButtonLink>}>
      <p>{t("models:empty")}</p>
    </EmptyState>
  );
}

function ModelTable({ versions, current, onOpen }: { versions: ModelVersion[]; current: string | null; onOpen: (version: ModelVersion) => void }) {
  const { t } = useTranslation("models");
  return (
    <Table label={t("versions")} rows={versions} rowKey={(row) => row.id} current={current} onOpen={onOpen}
      columns={[
        { header: t("name"), cell: (row) => <RowButton onPress={() => { onOpen(row); }}>{row.name}</RowButton> },
        { header: t("digest"), cell: (row) => <Thread digest={row.digest} /> },
        { header: t("base"), cell: (row) => row.base_model, wide: true },
        { header: t("size"), cell: (row) => formatBytes(row.bytes), number: true, wide: true },
        { header: t("created"), cell: (row) => <span title={formatTime(row.created_at)}>{formatAgo(row.created_at)}</span>, wide: true },
      ]} />
  );
}

function figures(metrics: ModelVersion["metrics"]): [string, React.ReactNode][] {
  return Object.entries(metrics).flatMap(([name, value]): [string, React.ReactNode][] =>
    (typeof value === "number" ? [[name.replaceAll("_", " "), <span key={name} className="figures">{formatFigure(value)}</span>]] : []));
}

function lineage(version: ModelVersion, t: (key: "file" | "datasetVersion" | "job" | "seed" | "codeVersion") => string): [string, React.ReactNode][] {
  const { file_id, dataset_version_id, seed, code_version } = version.lineage ?? {};
  const facts: [string, React.ReactNode | null | undefined][] = [
    [t("file"), file_id && <Link key="file" to={`/data?file=${file_id}`}><code>{file_id}</code></Link>],
    [t("datasetVersion"), dataset_version_id && <code key="dsv">{dataset_version_id}</code>],
    [t("job"), version.job_id && <Link key="job" to={`/training/${version.job_id}`}><code>{version.job_id}</code></Link>],
    [t("seed"), seed],
    [t("codeVersion"), code_version && <code key="code">{code_version}</code>],
  ];
  return facts.filter(([, fact]) => fact !== null && fact !== undefined && fact !== "");
}

function ModelInspector({ version, onClose }: { version: ModelVersion; onClose: () => void }) {
  const { t } = useTranslation("models");
  const measured = figures(version.metrics);
  const threads = lineage(version, t);
  return (
    <Inspector title={version.name} onClose={onClose}>
      <Thread digest={version.digest} />
      <div className="row">
        <ButtonLink to={`/chat?model=${encodeURIComponent(version.name)}`} variant="primary" icon="chat">{t("talk")}</ButtonLink>
      </div>
      <Facts facts={[
        [t("base"), version.base_model],
        [t("size"), formatBytes(version.bytes)],
        [t("created"), formatTime(version.created_at)],
      ]} />
      {measured.length > 0 && <><h3>{t("metrics")}</h3><Facts facts={measured} /></>}
      {threads.length > 0 && <><h3>{t("lineage")}</h3><Facts facts={threads} /></>}
      <h3>{t("digest")}</h3>
      <CodeBlock code={version.digest} />
      <p className="quiet small">{t("digestHelp")}</p>
    </Inspector>
  );
}
