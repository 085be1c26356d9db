/** One fine-tuning job, live: state, curve, events, checkpoints, and what to do next. */
import { useQuery } from "@tanstack/react-query";
import { Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { ApiFault } from "@/api/faults";
import type { FineTuningJob } from "@/api/types";
import { StateBadge } from "@/design/Badge";
import { Button, ButtonLink } from "@/design/Button";
import { CopyButton } from "@/design/CodeBlock";
import { Icon } from "@/design/Icon";
import { Facts } from "@/design/Inspector";
import { EmptyState, ErrorNotice, Loaded, Skeleton } from "@/design/Notices";
import { Page } from "@/design/Page";
import { UseFromCode } from "@/features/deployments";
import { formatDuration, formatNumber, formatTime } from "@/i18n/formats";
import { isActive, jobMetricsQuery, jobQuery, useCancelJob } from "../api";
import { JobCheckpoints } from "./JobCheckpoints";
import { JobEvents } from "./JobEvents";
import { JobProgress } from "./JobProgress";
import { LossCurve } from "./LossCurve";
import "./training.css";

export function JobPage() {
  const { t } = useTranslation(["training", "common"]);
  const { jobId = "" } = useParams();
  const job = useQuery(jobQuery(jobId));
  if (job.error instanceof ApiFault && job.error.status === 404) {
    return (
      <Page title={t("training:job")}>
        <EmptyState icon="search" title={t("common:fault.notFoundTitle")} action={<ButtonLink to="/training">{t("training:all")}</ButtonLink>}>
          <p>{t("common:fault.notFound")}</p>
        </EmptyState>
      </Page>
    );
  }
  return (
    <Page title={job.data?.fine_tuned_model ?? t("training:job")}
      lead={job.data && <div className="row"><StateBadge state={job.data.status} /><code className="quiet small">{job.data.id}</code></div>}
      actions={job.data && isActive(job.data) && <CancelButton jobId={jobId} />}>
      <Loaded query={job}>{(shown) => <JobBody job={shown} />}</Loaded>
    </Page>
  );
}

function CancelButton({ jobId }: { jobId: string }) {
  const { t } = useTranslation(["training", "common"]);
  const [sure, setSure] = useState(false);
  const cancel = useCancelJob(jobId);
  if (!sure) return <Button icon="ban" onClick={() => { setSure(true); }}>{t("training:cancel")}</Button>;
  return (
    <>
      <span className="quiet">{cancel.error ? cancel.error.message : t("training:cancelSure")}</span>
      <Button variant="danger" autoFocus pending={cancel.isPending} onClick={() => { cancel.mutate(); }}>{t("training:cancelNow")}</Button>
      <Button variant="quiet" onClick={() => { setSure(false); }}>{t("training:goOn")}</Button>
    </>
  );
}

function JobBody({ job }: { job: FineTuningJob }) {
  const { t } = useTranslation("training");
  const active = isActive(job);
  const metrics = useQuery(jobMetricsQuery(job.id, active));
  const points = metrics.data?.points ?? [];
  return (
    <>
      {job.error && <JobFault job={job} />}
      {job.status === "succeeded" && job.fine_tuned_model && <NextSteps job={job} model={job.fine_tuned_model} />}
      {active && <JobProgress job={job} metrics={metrics.data} />}
      <div className="job-grid">
        <section className="panel" aria-label={t("loss")}>
          <div className="panel-head"><h2>{t("loss")}</h2></div>
          {metrics.error && <ErrorNotice error={metrics.error} onRetry={() => void metrics.refetch()} />}
          {points.length > 0 ? <LossCurve points={points} /> : <NoCurve job={job} />}
        </section>
        <div className="stack-6">
          <JobFacts job={job} />
          <JobEvents jobId={job.id} active={active} />
        </div>
      </div>
      <JobCheckpoints jobId={job.id} />
      {job.status === "succeeded" && job.fine_tuned_model && (
        <div className="panel"><Suspense fallback={<Skeleton rows={3} />}><UseFromCode model={job.fine_tuned_model} /></Suspense></div>
      )}
    </>
  );
}

function NoCurve({ job }: { job: FineTuningJob }) {
  const { t } = useTranslation("training");
  const waiting = job.status === "running" ? t("waiting.running") : t("waiting.queued");
  return <p className="curve-waiting">{isActive(job) ? waiting : t("noPoints")}</p>;
}

function JobFault({ job }: { job: FineTuningJob }) {
  const { t } = useTranslation("training");
  if (!job.error) return null;
  return (
    <div className="notice notice-bad" role="alert">
      <Icon name="alert" />
      <div className="stack">
        <h3>{t("failedTitle")}</h3>
        <p>{job.error.message}</p>
        <p className="quiet">{t("failedSafe")}</p>
        <div className="notice-meta"><span><code>{job.error.code}</code></span>{job.error.param && <span><code>{job.error.param}</code></span>}</div>
        <div className="row">
          <ButtonLink to={`/data?file=${job.training_file}`} icon="file">{t("seeFile")}</ButtonLink>
          <ButtonLink to={`/training/new?file=${job.training_file}`} icon="refresh">{t("again")}</ButtonLink>
        </div>
      </div>
    </div>
  );
}

function NextSteps({ job, model }: { job: FineTuningJob; model: string }) {
  const { t } = useTranslation("training");
  const name = encodeURIComponent(model);
  return (
    <section className="notice notice-good">
      <Icon name="check" />
      <div className="stack">
        <h2>{t("done")}</h2>
        <div className="row"><code>{model}</code><CopyButton text={() => model} /></div>
        <div className="row">
          <ButtonLink to={`/chat?model=${name}&beside=${encodeURIComponent(job.model)}`} variant="primary" large icon="split">{t("talk")}</ButtonLink>
          <span className="quiet">{t("talkHint")}</span>
        </div>
      </div>
    </section>
  );
}

function JobFacts({ job }: { job: FineTuningJob }) {
  const { t } = useTranslation("training");
  const knob = (value: number | string | undefined) => (typeof value === "number" ? formatNumber(value, 4) : t("auto"));
  const facts: [string, React.ReactNode][] = [
    [t("base"), job.model],
    [t("file"), <Link key="file" to={`/data?file=${job.training_file}`}><code>{job.training_file}</code></Link>],
    [t("knob.epochs"), knob(job.hyperparameters.n_epochs)],
    [t("knob.batch"), knob(job.hyperparameters.batch_size)],
    [t("knob.rate"), knob(job.hyperparameters.learning_rate_multiplier)],
    [t("seed"), job.seed],
    [t("created"), formatTime(job.created_at)],
  ];
  if (job.finished_at !== null) facts.push([t("took"), formatDuration(job.finished_at - job.created_at)]);
  if (job.trained_tokens !== null) facts.push([t("tokens"), formatNumber(job.trained_tokens)]);
  return <section className="panel" aria-label={t("settings")}><div className="panel-head"><h2>{t("settings")}</h2></div><Facts facts={facts} /></section>;
}
