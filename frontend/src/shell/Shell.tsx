/** The shell around every page: bars, live events, the palette. */
import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Outlet, ScrollRestoration, useNavigation } from "react-router";
import { Skeleton } from "@/design/Notices";
import { Toasts } from "@/design/toasts";
import type { SocketState } from "@/live/resumable-socket";
import { followEvents } from "@/live/server-events";
import { Rail } from "./Rail";
import { TopBar } from "./TopBar";

const CommandPalette = lazy(() => import("./CommandPalette"));
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
    window.addEventListener("keydown", onKey);
    return () => { window.removeEventListener("keydown", onKey); };
  }, [open]);
}

export function Shell() {
  const { t } = useTranslation();
  const [searching, setSearching] = useState(false);
  const drawer = useRef<HTMLDialogElement>(null);
  const offline = useLiveEvents();
  const leaving = useNavigation().state === "loading";
  usePaletteKey(() => { setSearching(true); });
  return (
    <div className="shell">
      <a className="skip" href="#content">{t("shell.skip")}</a>
      <TopBar onMenu={() => drawer.current?.showModal()} onSearch={() => { setSearching(true); }} />
      <Rail />
      <dialog ref={drawer} className="drawer" aria-label={t("shell.menu")} onClick={(event) => { if (event.target === drawer.current) drawer.current.close(); }}>
        <Rail onNavigate={() => drawer.current?.close()} />
      </dialog>
      <main id="content" tabIndex={-1} aria-busy={leaving}>
        {offline && <p className="offline" role="status">{t("shell.offline")}</p>}
        <Suspense fallback={<div className="page"><Skeleton rows={4} /></div>}><Outlet /></Suspense>
      </main>
      {searching && <Suspense><CommandPalette onClose={() => { setSearching(false); }} /></Suspense>}
      <Toasts />
      <ScrollRestoration />
    </div>
  );
}
