/** API keys: made here, shown once, revoked here. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { type FormEvent, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";
import { ApiFault } from "@/api/faults";
import { useProject } from "@/api/session";
import type { ApiKey, ApiKeySecret } from "@/api/types";
import { Button } from "@/design/Button";
import { CodeBlock } from "@/design/CodeBlock";
import { Field } from "@/design/Field";
import { Icon } from "@/design/Icon";
import { MoreButton } from "@/design/MoreButton";
import { EmptyState, ErrorNotice, Loaded } from "@/design/Notices";
import { Page } from "@/design/Page";
import { Table } from "@/design/Table";
import { formatAgo, formatTime } from "@/i18n/formats";
import { keysQuery, needsConfirming, useCreateKey, useRevokeKey } from "../api";

export function KeysPage() {
  const { t } = useTranslation("settings");
  const project = useProject();
  const keys = useInfiniteQuery(keysQuery);
  const [made, setMade] = useState<ApiKeySecret | null>(null);
  return (
    <Page title={t("keys")} lead={t("lead", { project: project.name })}>
      {made ? <Secret made={made} onDone={() => { setMade(null); }} /> : <KeyForm onMade={setMade} />}
      <Loaded query={keys} rows={3}>
        {(all) => (all.length === 0
          ? <EmptyState icon="key" title={t("emptyTitle")}><p>{t("empty")}</p></EmptyState>
          : <KeyTable keys={all} />)}
      </Loaded>
      <MoreButton query={keys} />
    </Page>
  );
}

function KeyForm({ onMade }: { onMade: (made: ApiKeySecret) => void }) {
  const { t } = useTranslation("settings");
  // What was typed before the person had to confirm that it is them.
  const [typed] = useSearchParams();
  const [name, setName] = useState(typed.get("name") ?? "");
  const [missing, setMissing] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const create = useCreateKey();
  const refusal = create.error instanceof ApiFault && create.error.param === "name" ? create.error.message : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setMissing(!name.trim());
    if (name.trim()) create.mutate(name.trim(), { onSuccess: onMade });
    else input.current?.focus();
  };
  return (
    <form className="panel stack key-form" onSubmit={submit} noValidate>
      <Field label={t("name")} hint={t("nameHint")} fault={missing ? t("nameMissing") : refusal}>
        {(wiring) => (
          <input {...wiring} ref={input} className="input" value={name} maxLength={100} autoComplete="off"
            onChange={(event) => { setName(event.target.value); }} />
        )}
      </Field>
      {create.error && !refusal && !needsConfirming(create.error) && <ErrorNotice error={create.error} />}
      <div><Button type="submit" variant="primary" icon="plus" pending={create.isPending}>{t("create")}</Button></div>
    </form>
  );
}

function Secret({ made, onDone }: { made: ApiKeySecret; onDone: () => void }) {
  const { t } = useTranslation("settings");
  return (
    <section className="notice notice-good" role="status">
      <Icon name="key" />
      <div className="stack">
        <h2>{t("made", { name: made.name })}</h2>
        <p>{t("once")}</p>
        <CodeBlock code={made.secret} />
        <div><Button onClick={onDone}>{t("kept")}</Button></div>
      </div>
    </section>
  );
}

function KeyTable({ keys }: { keys: ApiKey[] }) {
  const { t } = useTranslation("settings");
  return (
    <Table label={t("keys")} rows={keys} rowKey={(key) => key.id}
      columns={[
        { header: t("name"), cell: (key) => <strong className="truncate">{key.name}</strong> },
        { header: t("prefix"), cell: (key) => <code>{key.prefix}…</code>, wide: true },
        { header: t("created"), cell: (key) => <span title={formatTime(key.created_at)}>{formatAgo(key.created_at)}</span>, wide: true },
        { header: t("used"), cell: (key) => (key.last_used_at ? formatAgo(key.last_used_at) : t("never")), wide: true },
        { header: t("revoke"), cell: (key) => <RevokeButton apiKey={key} /> },
      ]} />
  );
}

/** A leaked key must die now, so this asks first instead of offering a way back. */
function RevokeButton({ apiKey }: { apiKey: ApiKey }) {
  const { t } = useTranslation(["settings", "common"]);
  const [sure, setSure] = useState(false);
  const revoke = useRevokeKey();
  if (!sure) {
    return (
      <Button icon="ban" aria-label={t("settings:revokeNamed", { name: apiKey.name })} onClick={() => { setSure(true); }}>
        {t("settings:revoke")}
      </Button>
    );
  }
  return (
    <div className="stack">
      <span className="small">{revoke.error ? revoke.error.message : t("settings:revokeSure")}</span>
      <div className="row">
        <Button variant="danger" autoFocus pending={revoke.isPending} onClick={() => { revoke.mutate(apiKey.id); }}>{t("settings:revokeNow")}</Button>
        <Button variant="quiet" onClick={() => { setSure(false); }}>{t("common:action.cancel")}</Button>
      </div>
    </div>
  );
}
