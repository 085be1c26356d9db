/** A WebSocket that comes back: backoff with jitter, at once when the network or the tab wakes. */

export type SocketState = "connecting" | "open" | "waiting" | "closed";

export interface SocketHandlers {
  onOpen: () => void;
  onFrame: (frame: unknown) => void;
  onState?: (state: SocketState) => void;
}

export interface Surroundings {
  open: (url: string) => WebSocket;
  random: () => number;
  after: (milliseconds: number, act: () => void) => () => void;
  /** Call `act` when there is reason to believe that connecting would work now. */
  onWake: (act: () => void) => () => void;
}

const FIRST_DELAY_MS = 400;
const LONGEST_DELAY_MS = 15_000;
/** 4401 and 4403: not signed in or not allowed; 4404: not found. Trying again would not help. */
const FINAL_CODES = new Set([4401, 4403, 4404]);

export function socketUrl(path: string): string {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
}

function browserSurroundings(): Surroundings {
  return {
    open: (url) => new WebSocket(url),
    random: Math.random,
    after: (milliseconds, act) => {
      const timer = setTimeout(act, milliseconds);
      return () => { clearTimeout(timer); };
    },
    onWake: (act) => {
      const whenVisible = () => {
        if (document.visibilityState === "visible") act();
      };
      window.addEventListener("online", act);
      document.addEventListener("visibilitychange", whenVisible);
      return () => {
        window.removeEventListener("online", act);
        document.removeEventListener("visibilitychange", whenVisible);
      };
    },
  };
}

export class ResumableSocket {
  private socket: WebSocket | null = null;
  private state: SocketState = "closed";
  private attempt = 0;
  private cancelRetry: (() => void) | null = null;
  private forgetWake: (() => void) | null = null;
  private readonly url: string;
  private readonly handlers: SocketHandlers;
  private readonly world: Surroundings;

  constructor(url: string, handlers: SocketHandlers, world: Surroundings = browserSurroundings()) {
    this.url = url;
    this.handlers = handlers;
    this.world = world;
  }

  start(): void {
    if (this.state !== "closed") return;
    this.forgetWake = this.world.onWake(() => {
      if (this.state === "waiting") this.connect();
    });
    this.connect();
  }

  stop(): void {
    this.forgetWake?.();
    this.cancelRetry?.();
    const socket = this.socket;
    this.socket = null;
    this.enter("closed");
    socket?.close(1000);
  }

  /** Send a frame now. False when there is no connection: the caller keeps what must not be lost. */
  send(frame: object): boolean {
    if (this.state !== "open" || !this.socket) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  private enter(state: SocketState): void {
    this.state = state;
    this.handlers.onState?.(state);
  }

  private connect(): void {
    this.cancelRetry?.();
    this.cancelRetry = null;
    this.enter("connecting");
    const socket = this.world.open(this.url);
    this.socket = socket;
    socket.onopen = () => {
      if (this.socket !== socket) return;
      this.enter("open");
      this.handlers.onOpen();
    };
    socket.onmessage = (event) => {
      if (this.socket === socket) this.receive(event.data);
    };
    socket.onclose = (event) => {
      if (this.socket === socket) this.lost(event.code);
    };
  }

  private receive(text: unknown): void {
    let frame: unknown;
    try {
      frame = JSON.parse(String(text));
    } catch {
      return;
    }
    // Only a frame proves the connection healthy: a proxy may accept and drop at once.
    this.attempt = 0;
    this.handlers.onFrame(frame);
  }

  private lost(code: number): void {
    this.socket = null;
    if (FINAL_CODES.has(code)) {
      this.enter("closed");
      this.forgetWake?.();
      return;
    }
    const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.attempt);
    this.attempt += 1;
    this.enter("waiting");
    // Half fixed, half random: many tabs must not come back in one wave after a deploy.
    this.cancelRetry = this.world.after(ceiling / 2 + (this.world.random() * ceiling) / 2, () => { this.connect(); });
  }
}
