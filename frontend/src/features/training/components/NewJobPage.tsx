/** A new fine-tuning job: what to train, on what, and the few knobs that matter. */
import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate, useSearchParams } from "react-router";
import { ApiFault } from "@/api/faults";
import type { FineTuningJobCreate } from "@/api/types";
import { Button, ButtonLink } from "@/design/Button";
import { Field } from "@/design/Field";
import { EmptyState, ErrorNotice, Loaded } from "@/design/Notices";
import { Page } from "@/design/Page";
import { Select } from "@/design/Select";
import { filesQuery } from "@/features/datasets";
import { formatAgo, formatBytes, formatNumber } from "@/i18n/formats";
import { baseModelsQuery, createJob } from "../api";
import "./training.css";

const NONE = "none";
const knobs = [
  { name: "n_epochs", word: "epochs", min: 1, max: 50, step: 1 },
  { name: "batch_size", word: "batch", min: 1, max: 256, step: 1 },
  { name: "learning_rate_multiplier", word: "rate", min: 0, max: 100, step: "any" },
] as const;
type Knob = (typeof knobs)[number]["name"];

interface Draft {
  model: string | null;
  training: string | null;
  validation: string;
  suffix: string;
  values: Record<Knob, string>;
}

function toRequest(draft: Draft, model: string, training: string): FineTuningJobCreate {
  const hyperparameters = Object.fromEntries(knobs.map(({ name }) => [name, draft.values[name] === "" ? "auto" : Number(draft.values[name])]));
  return {
    model,
    training_file: training,
    ...(draft.validation === NONE ? {} : { validation_file: draft.validation }),
    ...(draft.suffix ? { suffix: draft.suffix } : {}),
    method: { type: "supervised", supervised: { hyperparameters } },
  };
}

export function NewJobPage() {
  const { t } = useTranslation("training");
  const files = useInfiniteQuery(filesQuery);
  return (
    <Page title={t("new")} lead={t("newLead")}>
      <Loaded query={files} rows={4}>
        {(all) => {
          const usable = all.filter((file) => file.status !== "error");
          return usable.length === 0
            ? <EmptyState icon="file" title={t("noFilesTitle")} action={<ButtonLink to="/data" variant="primary" icon="upload">{t("toData")}</ButtonLink>}><p>{t("noFiles")}</p></EmptyState>
            : <JobForm files={usable.map((file) => ({ id: file.id, name: file.filename, note: `${formatBytes(file.bytes)} · ${formatAgo(file.created_at)}` }))} />;
        }}
      </Loaded>
    </Page>
  );
}

function JobForm({ files }: { files: { id: string; name: string; note: string }[] }) {
  const { t } = useTranslation("training");
  const navigate = useNavigate();
  const [params] = useSearchParams();
  const bases = useQuery(baseModelsQuery);
  const [draft, setDraft] = useState<Draft>({
    model: null, training: params.get("file") ?? files[0]?.id ?? null, validation: NONE, suffix: "",
    values: { n_epochs: "", batch_size: "", learning_rate_multiplier: "" },
  });
  const create = useMutation({ mutationFn: createJob, onSuccess: (job) => void navigate(`/training/${job.id}`) });
  const model = draft.model ?? bases.data?.[0]?.name ?? null;
  const refusal = create.error instanceof ApiFault ? create.error : null;
  const faultOf = (param: string) => (refusal?.param?.endsWith(param) ? refusal.message : null);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (model && draft.training) create.mutate(toRequest(draft, model, draft.training));
  };
  return (
    <form className="job-form" onSubmit={submit}>
      <Select label={t("file")} hint={t("fileHint")} choices={files} value={draft.training} onChange={(training) => { setDraft({ ...draft, training }); }} />
      <Select label={t("validationFile")} hint={t("validationHint")} value={draft.validation}
        choices={[{ id: NONE, name: t("noValidation") }, ...files.filter((file) => file.id !== draft.training)]}
        onChange={(validation) => { setDraft({ ...draft, validation }); }} />
      <BaseChoice value={model} onChange={(name) => { setDraft({ ...draft, model: name }); }} />
      <Field label={t("suffix")} hint={t("suffixHint")} fault={faultOf("suffix")}>
        {(wiring) => (
          <input {...wiring} className="input" maxLength={64} pattern="[A-Za-z0-9_\-]*" value={draft.suffix} placeholder="support-bot" autoComplete="off"
            onChange={(event) => { setDraft({ ...draft, suffix: event.target.value }); }} />
        )}
      </Field>
      <details className="knobs">
        <summary>{t("knobs")}</summary>
        <div className="knob-grid">
          {knobs.map((knob) => (
            <Field key={knob.name} label={t(`knob.${knob.word}`)} hint={t(`knobHint.${knob.word}`)} fault={faultOf(knob.name)}>
              {(wiring) => (
                <input {...wiring} className="input" type="number" inputMode="decimal" min={knob.min} max={knob.max} step={knob.step}
                  placeholder={t("auto")} value={draft.values[knob.name]}
                  onChange={(event) => { setDraft({ ...draft, values: { ...draft.values, [knob.name]: event.target.value } }); }} />
              )}
            </Field>
          ))}
        </div>
      </details>
      {create.error && <ErrorNotice error={create.error} title={t("notStarted")} />}
      <div><Button type="submit" variant="primary" large pending={create.isPending || !model}>{t("startJob")}</Button></div>
    </form>
  );
}

function BaseChoice({ value, onChange }: { value: string | null; onChange: (name: string) => void }) {
  const { t } = useTranslation("training");
  const bases = useQuery(baseModelsQuery);
  const choices = (bases.data ?? []).map((base) => ({
    id: base.name,
    name: base.name,
    note: t("baseNote", { parameters: formatNumber(base.parameters / 1e6), window: formatNumber(base.context_tokens) }),
  }));
  return (
    <>
      <Select label={t("base")} hint={t("baseHint")} value={value} isDisabled={!bases.data} choices={choices} onChange={onChange} />
      {bases.error && <ErrorNotice error={bases.error} onRetry={() => void bases.refetch()} />}
    </>
  );
}
