/** One message; an answer shows which model spoke, by name, digest and colour. */
import { memo } from "react";
import { useTranslation } from "react-i18next";
import { ApiFault } from "@/api/faults";
import type { Message } from "@/api/types";
import { Button } from "@/design/Button";
import { CopyButton } from "@/design/CodeBlock";
import { ErrorNotice } from "@/design/Notices";
import { Thread } from "@/design/Thread";
import { threadOf } from "@/design/thread";
import { formatNumber } from "@/i18n/formats";
import { Markdown } from "./Markdown";

const NONE: readonly Message[] = [];

interface Shown {
  message: Message;
  older: readonly Message[];
  /** Given where the answer can be generated anew. */
  onRegenerate: ((messageId: string) => void) | null;
}

export const MessageView = memo(function MessageView({ message, older, onRegenerate }: Shown) {
  if (message.role === "assistant") return <Answer message={message} older={older} onRegenerate={onRegenerate} />;
  return (
    <article className="message message-user">
      <p className="question">{message.content}</p>
    </article>
  );
});

function Answer({ message, older, onRegenerate }: Shown) {
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
      {!streaming && <AnswerFoot message={message} onRegenerate={onRegenerate} />}
      {older.length > 0 && <OlderAnswers answers={older} />}
    </article>
  );
}

function OlderAnswers({ answers }: { answers: readonly Message[] }) {
  const { t } = useTranslation("chat");
  return (
    <details className="older">
      <summary>{t("olderAnswers", { count: answers.length, answers: formatNumber(answers.length) })}</summary>
      <div className="stack">{answers.map((answer) => <Answer key={answer.id} message={answer} older={NONE} onRegenerate={null} />)}</div>
    </details>
  );
}

function ending(message: Message): "stoppedByYou" | "cutAtLimit" | null {
  if (message.state === "stopped") return "stoppedByYou";
  return message.finish_reason === "length" ? "cutAtLimit" : null;
}

function AnswerFoot({ message, onRegenerate }: Pick<Shown, "message" | "onRegenerate">) {
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
      {onRegenerate && <Button variant="quiet" icon="refresh" onClick={() => { onRegenerate(message.id); }}>{t("regenerate")}</Button>}
    </footer>
  );
}
