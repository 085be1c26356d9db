/** How far a running job is, and when it will be done. */
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import type { FineTuningJob } from "@/api/types";
import { formatDuration, formatFigure, formatNumber } from "@/i18n/formats";
import type { Curve } from "../api";
import { secondsLeft } from "../points";

function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => { setNow(Date.now()); }, 1000);
    return () => { clearInterval(timer); };
  }, []);
  return now;
}

function useTimeLeft(job: FineTuningJob, curve: Curve | undefined): string {
  const now = useNow();
  if (job.estimated_finish) return formatDuration(Math.max(0, job.estimated_finish - now / 1000));
  const left = curve ? secondsLeft(curve.firstSeen, curve.lastSeen, curve.totalSteps) : null;
  return left === null ? "–" : formatDuration(left);
}

export function JobProgress({ job, metrics }: { job: FineTuningJob; metrics: Curve | undefined }) {
  const { t } = useTranslation("training");
  const left = useTimeLeft(job, metrics);
  const last = metrics?.points.at(-1);
  const total = metrics?.totalSteps ?? null;
  const shown = (value: number | null | undefined, format: (figure: number) => string) => (value == null ? "–" : format(value));
  const readings: [string, string][] = [
    [t("step"), `${formatNumber(last?.step ?? 0)} / ${shown(total, formatNumber)}`],
    [t("left"), left],
    [t("train"), shown(last?.train_loss, (loss) => formatFigure(loss, 3))],
    [t("pace"), shown(last?.tokens_per_second, formatNumber)],
  ];
  return (
    <section className="panel stack" aria-label={t("progress")}>
      <progress className="progress" aria-label={t("progress")} max={total ?? 1} value={last?.step ?? 0} />
      <dl className="readings">
        {readings.map(([name, value]) => <div key={name} className="reading"><dt>{name}</dt><dd>{value}</dd></div>)}
      </dl>
      <p className="quiet small">{t("leaveHint")}</p>
    </section>
  );
}
