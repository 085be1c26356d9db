/** One message; an answer shows which model spoke, by name, digest and colour. */
import { memo } from "react";
import { useTranslation } from "react-i18next";
import { ApiFault } from "@/api/faults";
import type { Message } from "@/api/types";
import { CopyButton } from "@/design/CodeBlock";
import { ErrorNotice } from "@/design/Notices";
import { Thread } from "@/design/Thread";
import { threadOf } from "@/design/thread";
import { formatNumber } from "@/i18n/formats";
import { Markdown } from "./Markdown";

export const MessageView = memo(function MessageView({ message }: { message: Message }) {
  if (message.role === "assistant") return <Answer message={message} />;
  return (
    <article className="message message-user">
      <p className="question">{message.content}</p>
    </article>
  );
});

function Answer({ message }: { message: Message }) {
  const { t } = useTranslation("chat");
  const streaming = message.state === "streaming";
  const thread = message.digest ? `thread-${String(threadOf(message.digest))}` : "";
  return (
    <article className={`message answer ${thread}`}>
      <header className="answer-head">
        <strong className="truncate">{message.model}</strong>
        {message.digest && <Thread digest={message.digest} />}
        <span className="ai-label">{t("aiGenerated")}</span>
      </header>
      {message.content ? <Markdown text={message.content} /> : streaming && <p className="quiet">{t("thinking")}</p>}
      {message.error && <ErrorNotice title={t("answerFailed")} error={new ApiFault(400, message.error, null)} />}
      {!streaming && <AnswerFoot message={message} />}
    </article>
  );
}

function ending(message: Message): "stoppedByYou" | "cutAtLimit" | null {
  if (message.state === "stopped") return "stoppedByYou";
  return message.finish_reason === "length" ? "cutAtLimit" : null;
}

function AnswerFoot({ message }: { message: Message }) {
  const { t } = useTranslation("chat");
  const why = ending(message);
  return (
    <footer className="answer-foot">
      {message.usage && (
        <span className="figures" title={t("promptTokens", { tokens: formatNumber(message.usage.prompt_tokens) })}>
          {t("tokens", { count: message.usage.completion_tokens, tokens: formatNumber(message.usage.completion_tokens) })}
        </span>
      )}
      {why && <span>{t(why)}</span>}
      {message.content && <CopyButton text={() => message.content} label={t("copyAnswer")} />}
    </footer>
  );
}
