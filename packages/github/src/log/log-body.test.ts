// The end of a log that can be trusted, on bodies written for the case.

import { expect, test, vi } from "vitest";

import { readLogBody } from "./log-body.ts";

async function* chunks(...sizes: number[]): AsyncGenerator<Buffer> {
  for (const size of sizes) yield Buffer.alloc(size, "x");
}

async function collect(body: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const found: Buffer[] = [];
  for await (const chunk of body) found.push(chunk);
  return found;
}

function read(source: AsyncIterable<Buffer>, declaredBytes?: number, stallMs = 60_000) {
  return collect(readLogBody(source, { declaredBytes, stallMs, what: "The log of job 1" }));
}

test("a body of its declared length, or of none, is handed on as it came", async () => {
  expect(Buffer.concat(await read(chunks(3, 4), 7))).toHaveLength(7);
  expect(Buffer.concat(await read(chunks(3, 4)))).toHaveLength(7);
  expect(await read(chunks(), 0)).toEqual([]);
});

test.each([
  ["short", 8, /ended after 7 of 8 bytes/],
  ["long", 6, /longer than its 6 bytes/],
])("a body that is too %s is incomplete", async (_, declaredBytes, message) => {
  await expect(read(chunks(3, 4), declaredBytes)).rejects.toMatchObject({
    code: "log/incomplete",
    message: expect.stringMatching(message),
  });
});

test("a body that is cut is incomplete, and its error does not contain the link", async () => {
  async function* cut(): AsyncGenerator<Buffer> {
    yield Buffer.alloc(5);
    throw Object.assign(new Error("other side closed https://host.example/x?sig=secret"), { code: "UND_ERR_SOCKET" });
  }
  const error = await read(cut(), 9).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: "log/incomplete", cause: { code: "UND_ERR_SOCKET" } });
  expect(String(error)).not.toContain("secret");
});

test("an aborted download ends with the reason of the signal", async () => {
  const stop = new AbortController();
  async function* aborted(): AsyncGenerator<Buffer> {
    yield Buffer.alloc(1);
    stop.abort(new Error("shutting down"));
    throw new Error("aborted");
  }
  const body = readLogBody(aborted(), { declaredBytes: 9, stallMs: 60_000, what: "The log", signal: stop.signal });
  await expect(collect(body)).rejects.toThrow("shutting down");
});

test("a byte now and then is a stall, and a slow reader is none", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  try {
    async function* trickle(): AsyncGenerator<Buffer> {
      for (let index = 0; index < 10; index++) {
        vi.advanceTimersByTime(30_000);
        yield Buffer.alloc(1);
      }
    }
    await expect(read(trickle(), 10)).rejects.toThrow(/stalled after 2 bytes/);

    const slowReader = readLogBody(chunks(1, 1, 1), { declaredBytes: 3, stallMs: 60_000, what: "The log" });
    let bytes = 0;
    for await (const chunk of slowReader) {
      vi.advanceTimersByTime(600_000);
      bytes += chunk.length;
    }
    expect(bytes).toBe(3);
  } finally {
    vi.useRealTimers();
  }
});
