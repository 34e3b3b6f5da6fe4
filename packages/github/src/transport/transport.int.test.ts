// The ways out: proxies are used as everywhere, and hear no more than they must.

import { once } from "node:events";
import { createServer } from "node:http";

import { createLogger } from "@actions-archive/core/logger";
import { afterEach, expect, test, vi } from "vitest";

import { startScriptedServer } from "../../test-support/scripted-server.ts";
import { getJob } from "../endpoints/workflow-jobs.ts";
import { openGitHub } from "../github.ts";
import { createProcessBudget } from "./process-budget.ts";
import { Transport, defaultTimeouts } from "./transport.ts";

afterEach(() => void vi.unstubAllEnvs());

/** A proxy that refuses every tunnel and records the requested hosts and headers. */
async function startRefusingProxy() {
  const tunnels: { target: string | undefined; headers: string }[] = [];
  const server = createServer((_request, response) => void response.writeHead(500).end());
  server.on("connect", (request, socket) => {
    tunnels.push({ target: request.url, headers: JSON.stringify(request.headers) });
    socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    tunnels,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

test("HTTPS_PROXY carries the API and the logs, and never receives the credential or the signed link", async () => {
  await using proxy = await startRefusingProxy();
  vi.stubEnv("HTTPS_PROXY", proxy.url);
  vi.stubEnv("NO_PROXY", "");
  await using github = openGitHub({
    apiUrl: new URL("https://api.github.invalid"),
    credentials: { kind: "token", token: "canary" },
    logHosts: [],
    budget: createProcessBudget(),
    log: createLogger("test", "silent"),
  });
  await expect(getJob(github, { repository: "octo/app", jobId: 7 })).rejects.toMatchObject({ code: "github/unavailable" });
  await expect(github.transport.downloadLog(new URL("https://logs.github.invalid/x?sig=canary"))).rejects.toThrow(/403/);
  expect(new Set(proxy.tunnels.map(({ target }) => target))).toEqual(
    new Set(["api.github.invalid:443", "logs.github.invalid:443"]),
  );
  expect(JSON.stringify(proxy.tunnels)).not.toContain("canary");
});

test("this machine is never reached through a proxy, and NO_PROXY is obeyed", async () => {
  await using proxy = await startRefusingProxy();
  vi.stubEnv("HTTP_PROXY", proxy.url);
  vi.stubEnv("HTTPS_PROXY", proxy.url);
  vi.stubEnv("NO_PROXY", "ghes.invalid");
  await using server = await startScriptedServer(() => ({ body: "local" }));
  await using transport = new Transport(new URL(server.origin), [], { ...defaultTimeouts, connectMs: 2_000 });
  const api = { method: "GET", url: new URL(server.origin), headers: {}, signal: undefined } as const;
  expect(await (await transport.callApi(api)).body.text()).toBe("local");
  expect(await (await transport.downloadLog(new URL(server.origin))).body.text()).toBe("local");
  await expect(transport.downloadLog(new URL("https://ghes.invalid/x"))).rejects.toThrow(/ghes\.invalid/);
  expect(proxy.tunnels).toEqual([]);
});
