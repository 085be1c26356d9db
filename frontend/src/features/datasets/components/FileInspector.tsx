/** One file: its facts, what validation found, the rows as the model will see them. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import type { StoredFile, Validation } from "@/api/types";
import { StateBadge } from "@/design/Badge";
import { Button, ButtonLink } from "@/design/Button";
import { Icon } from "@/design/Icon";
import { Facts, Inspector } from "@/design/Inspector";
import { Loaded } from "@/design/Notices";
import { removeUnlessUndone } from "@/design/toasts";
import { formatBytes, formatNumber, formatTime } from "@/i18n/formats";
import { useDeleteFile, validationQuery } from "../api";
import { ProblemList } from "./ProblemList";
import { RowPreview } from "./RowPreview";

export function FileInspector({ file, onClose }: { file: StoredFile; onClose: () => void }) {
  const { t } = useTranslation(["data", "common"]);
  const validation = useQuery(validationQuery(file.id));
  const deleteFile = useDeleteFile();
  const remove = () => {
    removeUnlessUndone({
      objectId: file.id,
      text: t("common:deleted", { name: file.filename }),
      act: () => deleteFile(file.id),
    });
    onClose();
  };
  return (
    <Inspector title={file.filename} onClose={onClose}>
      <Facts facts={[
        [t("data:size"), formatBytes(file.bytes)],
        [t("data:created"), formatTime(file.created_at)],
        [t("data:id"), <code key="id">{file.id}</code>],
      ]} />
      <Loaded query={validation} rows={3}>{(result) => <Result validation={result} />}</Loaded>
      <div className="row">
        {validation.data?.state === "valid" && (
          <ButtonLink to={`/training/new?file=${file.id}`} variant="primary" icon="curve">{t("data:train")}</ButtonLink>
        )}
        <Button variant="danger" icon="trash" onClick={remove}>{t("common:action.delete")}</Button>
      </div>
      {validation.data?.dataset_version && <RowPreview datasetVersionId={validation.data.dataset_version} />}
    </Inspector>
  );
}

function Result({ validation }: { validation: Validation }) {
  const { t } = useTranslation("data");
  if (validation.state === "pending" || validation.state === "running") {
    return <div className="row"><StateBadge state={validation.state} /><span className="quiet">{t("checking")}</span></div>;
  }
  const version = validation.dataset_version;
  return (
    <section className="stack" aria-label={t("validation")}>
      <div className="row">
        <h3>{t("validation")}</h3>
        <StateBadge state={validation.state} />
      </div>
      {validation.state === "valid" && !Object.keys(validation.problem_counts).length && (
        <div className="notice notice-good"><Icon name="check" /><div>{t("allGood", { rows: formatNumber(validation.rows) })}</div></div>
      )}
      <Facts facts={[
        [t("format"), validation.format ? t(`formatNames.${validation.format}`) : "–"],
        [t("rows"), t("rowsValid", { valid: formatNumber(validation.valid_rows), rows: formatNumber(validation.rows) })],
        ...(version ? [[t("version"), <code key="v">{version}</code>] satisfies [string, React.ReactNode]] : []),
      ]} />
      <ProblemList validation={validation} />
    </section>
  );
}
