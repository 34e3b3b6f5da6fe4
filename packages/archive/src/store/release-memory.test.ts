// Memory is released only for a buffer that does not share it.

import { expect, test } from "vitest";

import { releaseMemory } from "./release-memory.ts";

test("a buffer that does not share its memory is empty afterwards", () => {
  const bytes = Buffer.alloc(100_000, "x");
  releaseMemory(bytes, bytes.length);
  expect(bytes).toHaveLength(0);
});

test("memory that other buffers share stays", () => {
  const [pooled, neighbour] = [Buffer.from("pooled"), Buffer.from("neighbour")];
  const whole = Buffer.alloc(100_000, "x");
  const part = whole.subarray(10, 20);
  releaseMemory(pooled, pooled.length);
  releaseMemory(part, part.length);
  expect([pooled, neighbour, part].map(String)).toEqual(["pooled", "neighbour", "xxxxxxxxxx"]);
});
