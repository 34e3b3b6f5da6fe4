// Answers of the API that are made to fill a memory: too long, without an end, or packed.

import { gzipSync } from "node:zlib";

import { createLogger } from "@actions-archive/core/logger";
import { expect, test, vi } from "vitest";

import { startScriptedServer } from "../test-support/scripted-server.ts";
import { type GitHub, openGitHub } from "./github.ts";
import { createProcessBudget } from "./transport/process-budget.ts";

const mebibyte = 1024 * 1024;
const capBytes = 64 * mebibyte;

function open(origin: string): GitHub {
  const log = createLogger("test", "silent");
  return openGitHub({
    apiUrl: new URL(origin),
    credentials: { kind: "token", token: "t" },
    logHosts: [],
    budget: createProcessBudget(),
    log,
  });
}

const ask = (github: GitHub) => github.send({ path: "/repos/octo/app", subject: { repository: "octo/app" }, retries: 0 });

test("an answer over 64 MiB is dropped where it passes that, and the connection with it", async () => {
  let sentBytes = 0;
  let wasCut = 0;
  await using server = await startScriptedServer((_, response, index) => {
    // The second response declares its length, the first one never ends.
    response.writeHead(200, {
      "content-type": "application/json",
      ...(index === 1 && { "content-length": String(32 * capBytes) }),
    });
    const piece = Buffer.alloc(mebibyte, " ");
    const send = () => {
      do sentBytes += piece.length;
      while (sentBytes < 8 * capBytes && response.write(piece));
      if (sentBytes >= 8 * capBytes) response.destroy();
    };
    response.on("drain", send);
    response.on("close", () => wasCut++);
    send();
    return undefined;
  });
  await using github = open(server.origin);
  for (const count of [1, 2]) {
    sentBytes = 0;
    await expect(ask(github)).rejects.toMatchObject({
      code: "github/unavailable",
      message: expect.stringContaining(`larger than ${capBytes} bytes`) as string,
    });
    // Data in the kernel's buffers is not in the process's memory.
    expect(sentBytes).toBeLessThan(2 * capBytes);
    await vi.waitFor(() => expect(wasCut).toBe(count), { timeout: 30_000 });
  }
});

test("a compressed response that was not requested is not decompressed", async () => {
  const bomb = gzipSync(Buffer.alloc(256 * mebibyte), { level: 1 });
  expect(bomb.length).toBeLessThan(2 * mebibyte);
  await using server = await startScriptedServer(() => ({
    body: bomb,
    headers: { "content-encoding": "gzip", "content-type": "application/json" },
  }));
  await using github = open(server.origin);
  const before = process.memoryUsage().rss;
  expect(Buffer.byteLength((await ask(github)).text)).toBeLessThan(4 * mebibyte);
  expect(process.memoryUsage().rss - before).toBeLessThan(100 * mebibyte);
  expect(server.journal[0]?.headers["accept-encoding"]).toBe("identity");
});
