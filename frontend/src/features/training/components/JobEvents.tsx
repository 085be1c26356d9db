/** What the job said, newest first. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Loaded } from "@/design/Notices";
import { formatClock, formatTime, toDate } from "@/i18n/formats";
import { jobEventsQuery } from "../api";

export function JobEvents({ jobId, active }: { jobId: string; active: boolean }) {
  const { t } = useTranslation("training");
  const events = useQuery(jobEventsQuery(jobId, active));
  return (
    <section className="panel" aria-label={t("events")}>
      <div className="panel-head"><h2>{t("events")}</h2></div>
      <Loaded query={events} rows={4}>
        {(all) => (all.length === 0 ? <p className="quiet">{t("noEvents")}</p> : (
          <ol className="events" tabIndex={0} aria-label={t("events")}>
            {all.map((event) => (
              <li key={event.id} className={`event-${event.level}`}>
                <time dateTime={toDate(event.created_at).toISOString()} title={formatTime(event.created_at)}>{formatClock(event.created_at)}</time>
                <span>{event.level !== "info" && `${t(`level.${event.level}`)}: `}{event.message}</span>
              </li>
            ))}
          </ol>
        ))}
      </Loaded>
    </section>
  );
}
