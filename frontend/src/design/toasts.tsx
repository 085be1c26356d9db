/** Removing with a way back: the row is gone at once, the request goes out only when the time to undo is over. */
import { useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "./Button";

const UNDO_MS = 6000;

interface Toast {
  id: number;
  text: string;
  undo: (() => void) | null;
}

interface Board {
  toasts: readonly Toast[];
  removed: ReadonlySet<string>;
}

let board: Board = { toasts: [], removed: new Set() };
let nextId = 1;
const listeners = new Set<() => void>();

function publish(change: Partial<Board>): void {
  board = { ...board, ...change };
  for (const listener of listeners) listener();
}

function dismiss(id: number): void {
  publish({ toasts: board.toasts.filter((toast) => toast.id !== id) });
}

function restore(objectId: string): void {
  publish({ removed: new Set([...board.removed].filter((id) => id !== objectId)) });
}

/** Say something briefly. */
export function say(text: string): void {
  const id = nextId++;
  publish({ toasts: [...board.toasts, { id, text, undo: null }] });
  setTimeout(() => { dismiss(id); }, UNDO_MS);
}

interface Removal {
  objectId: string;
  text: string;
  act: () => Promise<unknown>;
}

/** Hide the object and `act` in six seconds, unless the person takes it back. Closing the page takes it back too. */
export function removeUnlessUndone({ objectId, text, act }: Removal): void {
  const id = nextId++;
  const timer = setTimeout(() => {
    dismiss(id);
    act().catch((error: unknown) => {
      restore(objectId);
      say(error instanceof Error ? error.message : String(error));
    });
  }, UNDO_MS);
  const undo = () => {
    clearTimeout(timer);
    dismiss(id);
    restore(objectId);
  };
  publish({ toasts: [...board.toasts, { id, text, undo }], removed: new Set([...board.removed, objectId]) });
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => { listeners.delete(listener); };
}

/** The ids of objects that are gone for this person, though perhaps not yet for the server. */
export function useRemoved(): ReadonlySet<string> {
  return useSyncExternalStore(subscribe, () => board.removed);
}

export function Toasts() {
  const { t } = useTranslation();
  const shown = useSyncExternalStore(subscribe, () => board.toasts);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((toast) => (
        <div key={toast.id} className="toast">
          <span className="truncate">{toast.text}</span>
          {toast.undo && <Button onClick={toast.undo}>{t("action.undo")}</Button>}
        </div>
      ))}
    </div>
  );
}
