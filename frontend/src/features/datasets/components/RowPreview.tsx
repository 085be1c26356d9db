/** Rows exactly as the model will see them. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import type { DatasetRow } from "@/api/types";
import { MoreButton } from "@/design/MoreButton";
import { Loaded } from "@/design/Notices";
import { formatNumber } from "@/i18n/formats";
import { rowsQuery } from "../api";

export function RowPreview({ datasetVersionId }: { datasetVersionId: string }) {
  const { t } = useTranslation("data");
  const rows = useInfiniteQuery(rowsQuery(datasetVersionId));
  return (
    <section className="stack" aria-label={t("preview")}>
      <h3>{t("preview")}</h3>
      <Loaded query={rows} rows={3}>
        {({ pages }) => (
          <>
            <p className="quiet small">{t("previewTotal", { total: formatNumber(pages[0]?.total ?? 0) })}</p>
            {pages.flatMap((page) => page.rows).map((row) => <RowCard key={row.row} row={row} />)}
          </>
        )}
      </Loaded>
      <MoreButton query={rows} />
    </section>
  );
}

function RowCard({ row }: { row: DatasetRow }) {
  const { t } = useTranslation("data");
  return (
    <article className="row-card" aria-label={t("placeRow", { row: row.row })}>
      <span className="quiet small figures">{t("placeRow", { row: row.row })}</span>
      {row.messages.map((message, index) => (
        <div key={index} className={`row-message row-message-${message.role}`}>
          <span className="quiet small">
            {message.role}{message.weight === 0 && ` · ${t("notTrained")}`}
          </span>
          <p>{message.content}</p>
        </div>
      ))}
    </article>
  );
}
