/** The checkpoints a job has written. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Table } from "@/design/Table";
import { formatFigure, formatNumber, formatTime } from "@/i18n/formats";
import { checkpointsQuery } from "../api";

export function JobCheckpoints({ jobId }: { jobId: string }) {
  const { t } = useTranslation("training");
  const checkpoints = useQuery(checkpointsQuery(jobId));
  if (!checkpoints.data?.length) return null;
  const figure = (value: number | null | undefined) => (value == null ? "–" : formatFigure(value));
  return (
    <section className="stack" aria-label={t("checkpoints")}>
      <h2>{t("checkpoints")}</h2>
      <Table label={t("checkpoints")} rows={checkpoints.data} rowKey={(row) => row.id}
        columns={[
          { header: t("step"), cell: (row) => formatNumber(row.step_number) },
          { header: t("train"), cell: (row) => figure(row.metrics.train_loss), number: true },
          { header: t("valid"), cell: (row) => figure(row.metrics.valid_loss), number: true },
          { header: t("created"), cell: (row) => formatTime(row.created_at), wide: true },
        ]} />
    </section>
  );
}
