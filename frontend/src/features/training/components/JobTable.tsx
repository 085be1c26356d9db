/** Fine-tuning jobs in rows. */
import { useTranslation } from "react-i18next";
import type { FineTuningJob } from "@/api/types";
import { StateBadge } from "@/design/Badge";
import { RowLink, Table } from "@/design/Table";
import { formatAgo, formatDuration, formatNumber, formatTime } from "@/i18n/formats";

function jobName(job: FineTuningJob): string {
  return job.fine_tuned_model ?? job.id;
}

export function JobTable({ jobs, onOpen }: { jobs: FineTuningJob[]; onOpen: (job: FineTuningJob) => void }) {
  const { t } = useTranslation("training");
  return (
    <Table label={t("jobs")} rows={jobs} rowKey={(job) => job.id} onOpen={onOpen}
      columns={[
        { header: t("job"), cell: (job) => <RowLink to={`/training/${job.id}`}>{jobName(job)}</RowLink> },
        { header: t("state"), cell: (job) => <StateBadge state={job.status} /> },
        { header: t("base"), cell: (job) => job.model, wide: true },
        { header: t("tokens"), cell: (job) => (job.trained_tokens === null ? "–" : formatNumber(job.trained_tokens)), number: true, wide: true },
        { header: t("took"), cell: (job) => (job.finished_at === null ? "–" : formatDuration(job.finished_at - job.created_at)), number: true, wide: true },
        { header: t("created"), cell: (job) => <span title={formatTime(job.created_at)}>{formatAgo(job.created_at)}</span>, wide: true },
      ]} />
  );
}
