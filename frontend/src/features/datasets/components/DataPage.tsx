/** Data: bring files in, see at once whether they can be used. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";
import type { StoredFile } from "@/api/types";
import { StateBadge } from "@/design/Badge";
import { CodeBlock } from "@/design/CodeBlock";
import { Icon } from "@/design/Icon";
import { MoreButton } from "@/design/MoreButton";
import { Loaded } from "@/design/Notices";
import { Page } from "@/design/Page";
import { RowButton, Table } from "@/design/Table";
import { useRemoved } from "@/design/toasts";
import { formatAgo, formatBytes, formatTime } from "@/i18n/formats";
import { filesQuery } from "../api";
import { useUploads } from "../uploads";
import { FileInspector } from "./FileInspector";
import { SampleButton } from "./SampleButton";
import { UploadArea } from "./UploadArea";
import "./datasets.css";

const EXAMPLE = `{"messages": [{"role": "user", "content": "Where is my parcel?"}, {"role": "assistant", "content": "Open Orders and choose Track."}]}
{"messages": [{"role": "user", "content": "Can I pay by invoice?"}, {"role": "assistant", "content": "Yes, from the second order on."}]}`;

export function DataPage() {
  const { t } = useTranslation(["data", "common"]);
  const [params, setParams] = useSearchParams();
  const files = useInfiniteQuery(filesQuery);
  const removed = useRemoved();
  const open = (file: StoredFile) => { setParams({ file: file.id }); };
  const uploads = useUploads(open);
  const selected = files.data?.find((file) => file.id === params.get("file") && !removed.has(file.id));
  const close = () => { setParams({}); };
  return (
    <Page title={t("common:nav.data")} lead={t("data:lead")}
      inspector={selected && <FileInspector key={selected.id} file={selected} onClose={close} />}>
      <UploadArea uploads={uploads.uploads} onFiles={uploads.start} />
      <Loaded query={files} rows={5}>
        {(all) => {
          const shown = all.filter((file) => !removed.has(file.id));
          return shown.length === 0
            ? <NoFiles onSample={open} />
            : <FileTable files={shown} current={selected?.id ?? null} onOpen={open} />;
        }}
      </Loaded>
      <MoreButton query={files} />
    </Page>
  );
}

function NoFiles({ onSample }: { onSample: (file: StoredFile) => void }) {
  const { t } = useTranslation("data");
  return (
    <section className="empty">
      <Icon name="file" size={24} />
      <h2>{t("emptyTitle")}</h2>
      <p>{t("empty")}</p>
      <CodeBlock code={EXAMPLE} label="questions.jsonl" />
      <SampleButton onStored={onSample} />
    </section>
  );
}

function FileTable({ files, current, onOpen }: { files: StoredFile[]; current: string | null; onOpen: (file: StoredFile) => void }) {
  const { t } = useTranslation(["data", "common"]);
  return (
    <Table label={t("data:files")} rows={files} rowKey={(file) => file.id} current={current} onOpen={onOpen}
      columns={[
        { header: t("data:name"), cell: (file) => <RowButton onPress={() => { onOpen(file); }}>{file.filename}</RowButton> },
        { header: t("data:state"), cell: (file) => <StateBadge state={file.status} /> },
        { header: t("data:size"), cell: (file) => formatBytes(file.bytes), number: true, wide: true },
        { header: t("data:created"), cell: (file) => <span title={formatTime(file.created_at)}>{formatAgo(file.created_at)}</span>, wide: true },
        { header: t("data:id"), cell: (file) => <code className="quiet">{file.id.slice(0, 18)}…</code>, wide: true },
      ]} />
  );
}
