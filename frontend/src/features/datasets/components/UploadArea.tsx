/** Where files are dropped or chosen, and how far each has come. */
import { DropZone, FileTrigger, Button as AriaButton, Text } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { Button, IconButton } from "@/design/Button";
import { Icon } from "@/design/Icon";
import { ErrorNotice } from "@/design/Notices";
import { formatBytes, formatNumber } from "@/i18n/formats";
import type { UploadState } from "../uploads";

const ACCEPTED = [".jsonl", ".csv", "application/jsonl", "text/csv"];

interface UploadAreaProps {
  uploads: UploadState[];
  onFiles: (files: File[]) => void;
}

export function UploadArea({ uploads, onFiles }: UploadAreaProps) {
  const { t } = useTranslation("data");
  return (
    <div className="stack">
      <DropZone className="dropzone"
        onDrop={(event) => {
          const dropped = event.items.filter((item) => item.kind === "file");
          void Promise.all(dropped.map((item) => item.getFile())).then(onFiles);
        }}>
        <Icon name="upload" size={20} />
        <Text slot="label">{t("drop")}</Text>
        <FileTrigger allowsMultiple acceptedFileTypes={ACCEPTED} onSelect={(files) => { onFiles([...(files ?? [])]); }}>
          <AriaButton className="button">{t("choose")}</AriaButton>
        </FileTrigger>
        <span className="quiet small">{t("formats")}</span>
      </DropZone>
      {uploads.map((upload) => <UploadLine key={upload.id} upload={upload} />)}
    </div>
  );
}

function UploadLine({ upload }: { upload: UploadState }) {
  const { t } = useTranslation(["data", "common"]);
  if (upload.error) {
    return (
      <div className="stack">
        <ErrorNotice error={upload.error} title={t("data:uploadFailed", { name: upload.name })} />
        <div><Button onClick={upload.stop}>{t("common:action.dismiss")}</Button></div>
      </div>
    );
  }
  const percent = formatNumber(upload.fraction * 100);
  return (
    <div className="panel stack">
      <div className="row row-between">
        <span className="truncate grow">{upload.name}</span>
        <span className="quiet figures">{t("data:uploaded", { percent, size: formatBytes(upload.bytes) })}</span>
        <IconButton icon="close" label={t("data:stopUpload", { name: upload.name })} onClick={upload.stop} />
      </div>
      <progress className="progress" max={1} value={upload.fraction} aria-label={upload.name} />
    </div>
  );
}
