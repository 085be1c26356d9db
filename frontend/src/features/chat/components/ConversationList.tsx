/** The conversations, newest first; a drawer where there is no room. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";
import type { Conversation } from "@/api/types";
import { Button, ButtonLink, IconButton } from "@/design/Button";
import { MoreButton } from "@/design/MoreButton";
import { Loaded } from "@/design/Notices";
import { removeUnlessUndone, useRemoved } from "@/design/toasts";
import { formatAgo } from "@/i18n/formats";
import { conversationsQuery, useDeleteConversation, useRenameConversation } from "../api";

export function ConversationList({ current }: { current: string | null }) {
  const { t } = useTranslation("chat");
  const drawer = useRef<HTMLDialogElement>(null);
  useEffect(() => { drawer.current?.close(); }, [current]);
  return (
    <>
      <nav className="conversations" aria-label={t("conversations")}><Conversations current={current} /></nav>
      <div className="conversations-open">
        <Button icon="menu" onClick={() => drawer.current?.showModal()}>{t("conversations")}</Button>
      </div>
      <dialog ref={drawer} className="drawer conversations-drawer" aria-label={t("conversations")}
        onClick={(event) => {
          const chosen = (event.target as HTMLElement).closest("a");
          if (event.target === drawer.current || chosen) drawer.current?.close();
        }}>
        <Conversations current={current} />
      </dialog>
    </>
  );
}

function Conversations({ current }: { current: string | null }) {
  const { t } = useTranslation("chat");
  const query = useInfiniteQuery(conversationsQuery);
  const removed = useRemoved();
  return (
    <>
      <ButtonLink to="/chat" icon="plus">{t("new")}</ButtonLink>
      <Loaded query={query} rows={4}>
        {(all) => {
          const shown = all.filter((conversation) => !removed.has(conversation.id));
          return shown.length === 0
            ? <p className="quiet small">{t("none")}</p>
            : <ul>{shown.map((conversation) => <Line key={conversation.id} conversation={conversation} current={conversation.id === current} />)}</ul>;
        }}
      </Loaded>
      <MoreButton query={query} />
    </>
  );
}

function Line({ conversation, current }: { conversation: Conversation; current: boolean }) {
  const { t } = useTranslation(["chat", "common"]);
  const navigate = useNavigate();
  const deleteConversation = useDeleteConversation();
  const [naming, setNaming] = useState(false);
  const title = conversation.title || t("chat:untitled");
  const remove = () => {
    removeUnlessUndone({
      objectId: conversation.id,
      text: t("common:deleted", { name: title }),
      act: () => deleteConversation(conversation.id),
    });
    if (current) void navigate("/chat");
  };
  if (naming) return <li><NameForm conversation={conversation} onDone={() => { setNaming(false); }} /></li>;
  return (
    <li className="conversation" data-current={current || undefined}>
      <Link to={`/chat/${conversation.id}`} aria-current={current ? "page" : undefined} title={title} onDoubleClick={() => { setNaming(true); }}>
        <span className="truncate">{title}</span>
        <span className="quiet small truncate">{conversation.model} · {formatAgo(conversation.updated_at)}</span>
      </Link>
      <IconButton icon="pen" label={t("chat:rename", { title })} onClick={() => { setNaming(true); }} />
      <IconButton icon="trash" label={t("chat:remove", { title })} onClick={remove} />
    </li>
  );
}

function NameForm({ conversation, onDone }: { conversation: Conversation; onDone: () => void }) {
  const { t } = useTranslation("chat");
  const rename = useRenameConversation();
  const [title, setTitle] = useState(conversation.title);
  const save = () => {
    if (title.trim() && title !== conversation.title) rename.mutate({ id: conversation.id, title: title.trim() }, { onSettled: onDone });
    else onDone();
  };
  return (
    <form onSubmit={(event) => {
      event.preventDefault();
      save();
    }}>
      <input className="input" aria-label={t("title")} value={title} autoFocus maxLength={200} onBlur={save}
        onChange={(event) => { setTitle(event.target.value); }}
        onKeyDown={(event) => { if (event.key === "Escape") onDone(); }} />
    </form>
  );
}
