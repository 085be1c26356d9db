/** ⌘K: go anywhere, do the frequent things, by typing. */
import { useEffect, useId, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { useSession, useSwitchSession } from "@/api/session";
import { Icon, type IconName } from "@/design/Icon";
import { rooms } from "./navigation";
import { chooseTheme, themes } from "./theme";

interface Command {
  id: string;
  name: string;
  icon: IconName;
  run: () => void;
}

function useCommands(): Command[] {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const session = useSession();
  const change = useSwitchSession();
  const go = (path: string) => () => void navigate(path);
  return [
    { id: "new-chat", name: t("shell.newChat"), icon: "chat", run: go("/chat") },
    { id: "new-job", name: t("shell.newJob"), icon: "curve", run: go("/training/new") },
    ...rooms.map((room): Command => ({
      id: room.id, name: t("shell.goTo", { page: t(`nav.${room.id}`) }), icon: room.icon, run: go(room.path),
    })),
    { id: "reference", name: t("shell.goTo", { page: t("shell.reference") }), icon: "server", run: () => { location.assign("/reference"); } },
    ...themes.map((theme): Command => ({
      id: theme, name: t("shell.useTheme", { theme: t(`shell.${theme}`) }), icon: "gear", run: () => { chooseTheme(theme); },
    })),
    ...session.projects.filter((project) => project.id !== session.project?.id).map((project): Command => ({
      id: project.id, name: t("shell.useProject", { project: project.name }), icon: "refresh",
      run: () => { change.mutate({ project_id: project.id }); },
    })),
  ];
}

export function CommandPalette({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [query, setQuery] = useState("");
  const [active, setActive] = useState(0);
  const commands = useCommands();
  const words = query.toLowerCase().split(/\s+/);
  const found = useMemo(
    () => commands.filter((command) => words.every((word) => command.name.toLowerCase().includes(word))),
    [commands, words],
  );
  useEffect(() => { dialog.current?.showModal(); }, []);
  useEffect(() => {
    document.getElementById(`${id}-${String(active)}`)?.scrollIntoView({ block: "nearest" });
  }, [id, active]);

  const run = (command: Command | undefined) => {
    if (!command) return;
    dialog.current?.close();
    command.run();
  };
  const move = (step: number) => { setActive((active + step + found.length) % Math.max(1, found.length)); };
  const keys: Record<string, () => void> = {
    ArrowDown: () => { move(1); },
    ArrowUp: () => { move(-1); },
    Enter: () => { run(found[active]); },
  };

  return (
    <dialog ref={dialog} className="palette" aria-label={t("shell.commands")} onClose={onClose}
      onClick={(event) => { if (event.target === dialog.current) dialog.current.close(); }}>
      <div className="palette-input">
        <Icon name="search" />
        <input role="combobox" aria-expanded="true" aria-controls={`${id}-list`} aria-label={t("shell.search")} autoFocus
          aria-activedescendant={found.length ? `${id}-${String(active)}` : undefined}
          placeholder={t("shell.search")} value={query}
          onChange={(event) => {
            setQuery(event.target.value);
            setActive(0);
          }}
          onKeyDown={(event) => {
            const act = keys[event.key];
            if (!act) return;
            event.preventDefault();
            act();
          }} />
      </div>
      <ul id={`${id}-list`} role="listbox" aria-label={t("shell.commands")}>
        {found.map((command, index) => (
          <li key={command.id} id={`${id}-${String(index)}`} role="option" aria-selected={index === active}
            onPointerMove={() => { setActive(index); }} onClick={() => { run(command); }}>
            <Icon name={command.icon} />{command.name}
          </li>
        ))}
      </ul>
      {found.length === 0 && <p className="palette-none quiet">{t("shell.noCommand", { query })}</p>}
    </dialog>
  );
}
