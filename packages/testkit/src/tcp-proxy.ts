// A TCP proxy that injects network faults.

import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export type TcpProxy = AsyncDisposable & {
  readonly port: number;
  /** @returns `url` with the proxy's address. */
  readonly before: (url: string) => string;
  /** Resets every connection. @returns their number. */
  readonly cut: () => number;
  /** While set, new connections are reset immediately, as if the server were down. */
  isRefusing: boolean;
  /** While set, no data passes and no connection ends, as behind a firewall that drops packets. */
  isSilent: boolean;
  /** Delay of each chunk of data, in both directions. */
  delayMs: number;
};

const silencePollMs = 50;

/** Starts a proxy on a free port of 127.0.0.1 for `ports` of the same host, round robin among those that accept. */
export async function openTcpProxy(...ports: readonly number[]): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let turn = 0;
  const server = createServer((incoming) => {
    hold(incoming);
    if (proxy.isRefusing) return void incoming.resetAndDestroy();
    void join(incoming, ports.length);
  });
  const hold = (socket: Socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
  };
  const join = async (incoming: Socket, tries: number): Promise<void> => {
    const outgoing = connect({ port: ports[turn++ % ports.length] ?? 0, host: "127.0.0.1" });
    hold(outgoing);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    outgoing.once("connect", () => resolve(true)).once("close", () => resolve(false));
    if (!(await promise)) return tries > 1 ? join(incoming, tries - 1) : void incoming.resetAndDestroy();
    void pass(incoming, outgoing);
    void pass(outgoing, incoming);
  };
  const pass = async (from: Socket, to: Socket): Promise<void> => {
    try {
      for await (const data of from as AsyncIterable<Buffer>) {
        if (proxy.delayMs > 0) await sleep(proxy.delayMs);
        while (proxy.isSilent) await sleep(silencePollMs);
        if (to.destroyed) return;
        to.write(data);
      }
      to.end();
    } catch {
      to.resetAndDestroy();
    }
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // The address of a TCP server is an AddressInfo.
  const { port } = server.address() as AddressInfo;
  const proxy: TcpProxy = {
    port,
    before(url) {
      const own = new URL(url);
      own.host = `127.0.0.1:${port}`;
      return own.href;
    },
    cut() {
      const { size } = sockets;
      for (const socket of sockets) socket.resetAndDestroy();
      return size;
    },
    isRefusing: false,
    isSilent: false,
    delayMs: 0,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      proxy.isSilent = false;
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return proxy;
}
