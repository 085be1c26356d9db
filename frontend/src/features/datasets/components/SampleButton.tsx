/** Bring the bundled sample in. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import type { StoredFile } from "@/api/types";
import { Button } from "@/design/Button";
import { ErrorNotice } from "@/design/Notices";
import { resources } from "@/live/server-events";
import { createSampleFile } from "../api";

export function SampleButton({ onStored }: { onStored: (file: StoredFile) => void }) {
  const { t } = useTranslation("data");
  const queries = useQueryClient();
  const sample = useMutation({
    mutationFn: createSampleFile,
    onSuccess: async (file) => {
      await queries.invalidateQueries({ queryKey: [resources.file] });
      onStored(file);
    },
  });
  return (
    <div className="stack">
      <div><Button icon="plus" pending={sample.isPending} onClick={() => { sample.mutate(); }}>{t("useSample")}</Button></div>
      {sample.error && <ErrorNotice error={sample.error} />}
    </div>
  );
}
