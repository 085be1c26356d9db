/** One conversation's messages. Follows the answer while one reads at its end, and leaves one alone elsewhere. */
import { useCallback, useLayoutEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/design/Button";
import { ApiFault } from "@/api/faults";
import { ErrorNotice, Skeleton } from "@/design/Notices";
import { Thread } from "@/design/Thread";
import type { ChatSession, Snapshot, Unsent } from "../session";
import { turnsOf } from "../turns";
import { MessageView } from "./MessageView";

const NEAR_PX = 80;

function useFollow(content: unknown) {
  const scroller = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  useLayoutEffect(() => {
    const box = scroller.current;
    if (box && following.current) box.scrollTop = box.scrollHeight;
  }, [content]);
  const onScroll = () => {
    const box = scroller.current;
    if (box) following.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;
  };
  return { scroller, onScroll };
}

/** Says that an answer began and ended, never its tokens. */
function Announcer({ snapshot }: { snapshot: Snapshot }) {
  const { t } = useTranslation("chat");
  const last = snapshot.messages.at(-1);
  const text = last?.role !== "assistant" ? "" : last.state === "streaming" ? t("answering") : t("answered");
  return <p className="sr-only" role="status">{text}</p>;
}

/** The answer that can be generated anew now: the last message, when nothing is on its way. */
function renewableOf({ messages, unsent, streaming, connection }: Snapshot): string | null {
  const last = messages.at(-1);
  const quiet = !streaming && unsent.length === 0 && connection === "open";
  return quiet && last?.role === "assistant" && !last.superseded ? last.id : null;
}

export function Pane({ session, snapshot, named }: { session: ChatSession; snapshot: Snapshot; named: boolean }) {
  const { t } = useTranslation("chat");
  const { scroller, onScroll } = useFollow(snapshot);
  const digest = snapshot.messages.findLast((message) => message.digest)?.digest;
  const model = snapshot.conversation?.model;
  const turns = turnsOf(snapshot.messages);
  const renewable = renewableOf(snapshot);
  const regenerate = useCallback((messageId: string) => { session.regenerate(messageId); }, [session]);
  const empty = snapshot.messages.length === 0 && snapshot.unsent.length === 0;
  return (
    <section className="pane" aria-label={model ?? t("untitled")}>
      {named && <header className="pane-head"><strong className="truncate">{model}</strong>{digest && <Thread digest={digest} />}</header>}
      <div className="pane-scroll" ref={scroller} onScroll={onScroll} tabIndex={0} role="region" aria-label={t("messages")} aria-busy={snapshot.streaming}>
        {snapshot.fault !== null && <ErrorNotice error={snapshot.fault} onRetry={() => { session.reload(); }} />}
        {!snapshot.conversation && snapshot.fault === null && empty && <Skeleton rows={3} />}
        {turns.map(({ message, older }) => (
          <MessageView key={message.id} message={message} older={older} onRegenerate={message.id === renewable ? regenerate : null} />
        ))}
        {snapshot.unsent.map((unsent) => <UnsentView key={unsent.clientId} unsent={unsent} session={session} />)}
      </div>
      {snapshot.connection === "waiting" && <p className="offline" role="status">{t("reconnecting")}</p>}
      <Announcer snapshot={snapshot} />
    </section>
  );
}

function UnsentView({ unsent, session }: { unsent: Unsent; session: ChatSession }) {
  const { t } = useTranslation(["chat", "common"]);
  return (
    <article className="message message-user message-unsent">
      <p className="question">{unsent.content}</p>
      {unsent.refusal
        ? (
          <>
            <ErrorNotice error={new ApiFault(400, unsent.refusal, null)} title={t("chat:notSent")} onRetry={() => { session.retry(unsent.clientId); }} />
            <div><Button variant="quiet" onClick={() => { session.discard(unsent.clientId); }}>{t("common:action.dismiss")}</Button></div>
          </>
        )
        : <p className="quiet small">{t("chat:sending")}</p>}
    </article>
  );
}
