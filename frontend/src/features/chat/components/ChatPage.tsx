/** Chat: the conversations beside one model, or two models with the same question. */
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Suspense, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate, useParams, useSearchParams } from "react-router";
import type { Deployment } from "@/api/types";
import { Button, ButtonLink, IconButton } from "@/design/Button";
import { Inspector } from "@/design/Inspector";
import { EmptyState, ErrorNotice, Loaded, Skeleton } from "@/design/Notices";
import { deploymentsQuery, UseFromCode } from "@/features/deployments";
import { resources } from "@/live/server-events";
import { createConversation } from "../api";
import type { Snapshot } from "../session";
import { sessionOf, useChatSession } from "../sessions";
import { Composer } from "./Composer";
import { ConversationList } from "./ConversationList";
import { ModelPicker } from "./ModelPicker";
import { Pane } from "./Pane";
import "./chat.css";

export function ChatPage() {
  const { t } = useTranslation(["chat", "common"]);
  const { conversationId } = useParams();
  const [params] = useSearchParams();
  const beside = params.get("with");
  useEffect(() => { document.title = `${t("common:nav.chat")} · Loomworks`; }, [t]);
  return (
    <div className="chat">
      <ConversationList current={conversationId ?? null} />
      {conversationId
        ? <Talk key={`${conversationId}+${beside ?? ""}`} ids={beside ? [conversationId, beside] : [conversationId]} />
        : <Beginning />}
    </div>
  );
}

/** A conversation under way, or two. */
function Talk({ ids }: { ids: string[] }) {
  const { t } = useTranslation("chat");
  const first = useChatSession(ids[0] ?? "");
  const second = useChatSession(ids[1] ?? ids[0] ?? "");
  const talks = ids.length > 1 ? [first, second] : [first];
  const [code, setCode] = useState(false);
  const title = first.snapshot.conversation?.title || t("untitled");
  return (
    <section className="talk" aria-label={title}>
      <TalkHead title={title} code={code} onCode={setCode} />
      <div className="talk-body">
        <div className={talks.length > 1 ? "panes panes-two" : "panes"}>
          {talks.map(({ session, snapshot }, index) => <Pane key={ids[index]} session={session} snapshot={snapshot} named={talks.length > 1} />)}
        </div>
        {code && <CodePanel snapshot={first.snapshot} onClose={() => { setCode(false); }} />}
      </div>
      <Composer place={ids.join("+")} streaming={talks.some(({ snapshot }) => snapshot.streaming)}
        onSend={(text) => { for (const { session } of talks) session.send(text); }}
        onStop={() => { for (const { session } of talks) session.stopAnswer(); }} />
    </section>
  );
}

function TalkHead({ title, code, onCode }: { title: string; code: boolean; onCode: (shown: boolean) => void }) {
  const { t } = useTranslation(["chat", "common"]);
  return (
    <header className="talk-head">
      <h1 className="truncate grow">{title}</h1>
      <Button icon="server" aria-pressed={code} aria-label={t("common:code.title")} onClick={() => { onCode(!code); }}>
        <span className="wide-only">{t("common:code.title")}</span>
      </Button>
      <ButtonLink to="/chat" icon="plus">{t("chat:newShort")}</ButtonLink>
    </header>
  );
}

function CodePanel({ snapshot, onClose }: { snapshot: Snapshot; onClose: () => void }) {
  const model = snapshot.conversation?.model;
  const question = snapshot.messages.findLast((message) => message.role === "user")?.content;
  if (!model) return null;
  return (
    <Inspector title={model} onClose={onClose}>
      <Suspense fallback={<Skeleton rows={3} />}><UseFromCode model={model} {...(question ? { question } : {})} /></Suspense>
    </Inspector>
  );
}

function Beginning() {
  const { t } = useTranslation("chat");
  const deployments = useInfiniteQuery(deploymentsQuery);
  return (
    <section className="talk" aria-label={t("new")}>
      <Loaded query={deployments}>
        {(all) => {
          const ready = all.filter((deployment) => deployment.state === "ready" || deployment.state === "loading");
          return ready.length === 0 ? <NoModels /> : <NewTalk deployments={ready} />;
        }}
      </Loaded>
    </section>
  );
}

function NoModels() {
  const { t } = useTranslation("chat");
  return (
    <div className="page">
      <EmptyState icon="chat" title={t("noModelsTitle")} action={<ButtonLink to="/deployments" icon="server">{t("toDeployments")}</ButtonLink>}>
        <p>{t("noModels")}</p>
      </EmptyState>
    </div>
  );
}

function useBegin(models: string[]) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const [pending, setPending] = useState(false);
  const begin = async (text: string): Promise<boolean> => {
    setPending(true);
    setError(null);
    try {
      const made = await Promise.all(models.map(createConversation));
      for (const conversation of made) sessionOf(conversation.id).send(text);
      void queries.invalidateQueries({ queryKey: [resources.conversation] });
      void navigate(`/chat/${made[0]?.id ?? ""}${made[1] ? `?with=${made[1].id}` : ""}`, { replace: true });
      return true;
    } catch (fault) {
      setError(fault);
      return false;
    } finally {
      setPending(false);
    }
  };
  return { begin, error, pending };
}

const EXAMPLES = ["sum", "shop"] as const;

function NewTalk({ deployments }: { deployments: Deployment[] }) {
  const { t } = useTranslation("chat");
  const [params] = useSearchParams();
  const known = (alias: string | null) => deployments.find((deployment) => deployment.alias === alias)?.alias ?? null;
  const [model, setModel] = useState(known(params.get("model")) ?? deployments[0]?.alias ?? "");
  const [beside, setBeside] = useState<string | null>(known(params.get("beside")));
  const other = deployments.find((deployment) => deployment.alias !== model)?.alias ?? model;
  const { begin, error, pending } = useBegin(beside === null ? [model] : [model, beside]);
  return (
    <>
      <div className="beginning">
        <h1>{t("begin")}</h1>
        <p className="quiet">{t("beginHint")}</p>
        <div className="pickers">
          <ModelPicker label={t("model")} deployments={deployments} value={model} onChange={setModel} />
          {beside === null
            ? deployments.length > 1 && <Button icon="split" onClick={() => { setBeside(other); }}>{t("compare")}</Button>
            : (
              <>
                <ModelPicker label={t("beside")} deployments={deployments} value={beside} onChange={setBeside} />
                <IconButton icon="close" label={t("compareNot")} onClick={() => { setBeside(null); }} />
              </>
            )}
        </div>
        <h2>{t("try")}</h2>
        <div className="stack">
          {EXAMPLES.map((example) => (
            <button key={example} type="button" className="example" onClick={() => void begin(t(`example.${example}`))}>{t(`example.${example}`)}</button>
          ))}
        </div>
        {error !== null && <ErrorNotice error={error} />}
      </div>
      <Composer place="new" streaming={false} pending={pending} onSend={begin} />
    </>
  );
}
