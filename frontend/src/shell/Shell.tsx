/** The shell around every page: bars, live events, the palette. */
import { useQueryClient } from "@tanstack/react-query";
import { type RefObject, Suspense, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useLocation, useNavigationType, useRoutes } from "react-router";
import { useSession } from "@/api/session";
import { Toasts } from "@/design/toasts";
import type { SocketState } from "@/live/resumable-socket";
import { followEvents } from "@/live/server-events";
import { CommandPalette } from "./CommandPalette";
import { FaultBoundary, NoProject, Waiting } from "./Faults";
import { Rail } from "./Rail";
import { routes } from "./routes";
import { TopBar } from "./TopBar";

/** A blink of the connection is nobody's concern. */
const SAY_OFFLINE_AFTER_MS = 4000;

function useLiveEvents(): boolean {
  const queries = useQueryClient();
  const [state, setState] = useState<SocketState>("connecting");
  const [late, setLate] = useState(false);
  const connected = state === "open";
  useEffect(() => followEvents(queries, setState), [queries]);
  useEffect(() => {
    if (connected) return;
    const timer = setTimeout(() => { setLate(true); }, SAY_OFFLINE_AFTER_MS);
    return () => {
      clearTimeout(timer);
      setLate(false);
    };
  }, [connected]);
  return !connected && late;
}

function usePaletteKey(open: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "k" || !(event.metaKey || event.ctrlKey)) return;
      event.preventDefault();
      open();
    };
    // While capturing: widgets that handle keys themselves let none bubble up.
    window.addEventListener("keydown", onKey, { capture: true });
    return () => { window.removeEventListener("keydown", onKey, { capture: true }); };
  }, [open]);
}

/** A new page begins at its top, and the keyboard begins inside it. */
function useFreshPage(pathname: string, content: RefObject<HTMLElement | null>): void {
  const kind = useNavigationType();
  const shown = useRef(pathname);
  useEffect(() => {
    if (shown.current === pathname) return;
    shown.current = pathname;
    if (kind === "PUSH") window.scrollTo(0, 0);
    if (!content.current?.contains(document.activeElement)) content.current?.focus({ preventScroll: true });
  }, [pathname, kind, content]);
}

export function Shell() {
  const { t } = useTranslation();
  const [searching, setSearching] = useState(false);
  const drawer = useRef<HTMLDialogElement>(null);
  const content = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  const page = useRoutes(routes);
  useFreshPage(pathname, content);
  // Nothing is shown to whom has not signed in: this waits for the session, or leaves for the sign-in page.
  const { project } = useSession();
  const offline = useLiveEvents();
  usePaletteKey(() => { setSearching(true); });
  return (
    <div className="shell">
      <a className="skip" href="#content">{t("shell.skip")}</a>
      <TopBar onMenu={() => drawer.current?.showModal()} onSearch={() => { setSearching(true); }} />
      <Rail />
      <dialog ref={drawer} className="drawer" aria-label={t("shell.menu")} onClick={(event) => { if (event.target === drawer.current) drawer.current.close(); }}>
        <Rail onNavigate={() => drawer.current?.close()} />
      </dialog>
      <main id="content" ref={content} tabIndex={-1}>
        {offline && <p className="offline" role="status">{t("shell.offline")}</p>}
        <FaultBoundary key={pathname}><Suspense fallback={<Waiting />}>{project ? page : <NoProject />}</Suspense></FaultBoundary>
      </main>
      {searching && <CommandPalette onClose={() => { setSearching(false); }} />}
      <Toasts />
    </div>
  );
}
