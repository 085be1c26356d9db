/** Where questions are written: Enter sends, Shift+Enter breaks the line, the draft stays. */
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/design/Button";
import { keepDraft, readDraft } from "../drafts";

interface ComposerProps {
  /** Where the draft belongs. */
  place: string;
  streaming: boolean;
  pending?: boolean;
  /** Answer false (or a promise of it) to keep what was written. */
  onSend: (text: string) => unknown;
  onStop?: () => void;
}

const withMouse = matchMedia("(pointer: fine)").matches;

export function Composer({ place, streaming, pending = false, onSend, onStop }: ComposerProps) {
  const { t } = useTranslation("chat");
  const [text, setText] = useState(() => readDraft(place));
  const input = useRef<HTMLTextAreaElement>(null);
  useEffect(() => { if (withMouse) input.current?.focus(); }, []);
  const write = (next: string) => {
    setText(next);
    keepDraft(place, next);
  };
  const send = async () => {
    const question = text.trim();
    if (!question || pending || streaming) return;
    write("");
    if ((await onSend(question)) === false) write(question);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // Enter that confirms a word of an input method is not the end of the message.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    void send();
  };
  return (
    <form className="composer" onSubmit={(event) => {
      event.preventDefault();
      void send();
    }}>
      <label className="sr-only" htmlFor="question">{t("question")}</label>
      <textarea id="question" ref={input} className="input" rows={1} value={text} placeholder={t("question")}
        onChange={(event) => { write(event.target.value); }} onKeyDown={onKeyDown} />
      {streaming
        ? <Button icon="stop" onClick={onStop}>{t("stop")}</Button>
        : <Button type="submit" variant="primary" icon="send" pending={pending || !text.trim()}>{t("send")}</Button>}
      <p className="composer-note quiet small">{t("note")}</p>
    </form>
  );
}
