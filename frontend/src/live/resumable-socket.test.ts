import { describe, expect, it } from "vitest";
import { ResumableSocket, type SocketState, type Surroundings } from "./resumable-socket";

class FakeSocket {
  sent: string[] = [];
  closed = false;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  send(text: string) {
    this.sent.push(text);
  }
  close() {
    this.closed = true;
  }
}

function laboratory() {
  const sockets: FakeSocket[] = [];
  const delays: number[] = [];
  const frames: unknown[] = [];
  const states: SocketState[] = [];
  let retry = () => {};
  let wake = () => {};
  let opened = 0;
  const world: Surroundings = {
    open: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket as unknown as WebSocket;
    },
    random: () => 1,
    after: (milliseconds, act) => {
      delays.push(milliseconds);
      retry = act;
      return () => { retry = () => {}; };
    },
    onWake: (act) => {
      wake = act;
      return () => { wake = () => {}; };
    },
  };
  const handlers = {
    onOpen: () => { opened += 1; },
    onFrame: (frame: unknown) => frames.push(frame),
    onState: (state: SocketState) => states.push(state),
  };
  const socket = new ResumableSocket("ws://here/ws", handlers, world);
  const newest = () => sockets[sockets.length - 1] as FakeSocket;
  return {
    socket, sockets, delays, frames, states, newest,
    retry: () => { retry(); },
    wake: () => { wake(); },
    opened: () => opened,
  };
}

describe("a resumable socket", () => {
  it("comes back after a loss, each time later, up to fifteen seconds", () => {
    const lab = laboratory();
    lab.socket.start();
    for (let round = 0; round < 8; round += 1) {
      lab.newest().onclose?.({ code: 1006 });
      lab.retry();
    }
    expect(lab.delays).toEqual([400, 800, 1600, 3200, 6400, 12800, 15000, 15000]);
  });

  it("starts again from the shortest wait once a frame has arrived", () => {
    const lab = laboratory();
    lab.socket.start();
    lab.newest().onclose?.({ code: 1006 });
    lab.retry();
    lab.newest().onopen?.();
    lab.newest().onmessage?.({ data: '{"type":"hello"}' });
    lab.newest().onclose?.({ code: 1012 });
    expect(lab.delays).toEqual([400, 400]);
    expect(lab.frames).toEqual([{ type: "hello" }]);
  });

  it("does not wait out its delay when the tab wakes", () => {
    const lab = laboratory();
    lab.socket.start();
    lab.newest().onclose?.({ code: 1006 });
    lab.wake();
    expect(lab.sockets).toHaveLength(2);
  });

  it("does not try again where it is not welcome", () => {
    const lab = laboratory();
    lab.socket.start();
    lab.newest().onclose?.({ code: 4404 });
    expect(lab.delays).toEqual([]);
    expect(lab.states.at(-1)).toBe("closed");
  });

  it("refuses to send without a connection instead of losing the frame", () => {
    const lab = laboratory();
    lab.socket.start();
    expect(lab.socket.send({ type: "send" })).toBe(false);
    lab.newest().onopen?.();
    expect(lab.socket.send({ type: "send" })).toBe(true);
    expect(lab.newest().sent).toEqual(['{"type":"send"}']);
  });

  it("ignores what an abandoned connection still says", () => {
    const lab = laboratory();
    lab.socket.start();
    const first = lab.newest();
    lab.socket.stop();
    first.onmessage?.({ data: "{}" });
    first.onclose?.({ code: 1006 });
    expect(first.closed).toBe(true);
    expect(lab.frames).toEqual([]);
    expect(lab.delays).toEqual([]);
  });

  it("survives a frame that is not JSON", () => {
    const lab = laboratory();
    lab.socket.start();
    lab.newest().onmessage?.({ data: "<html>" });
    expect(lab.frames).toEqual([]);
  });
});
