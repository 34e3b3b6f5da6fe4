import fc from "fast-check";
import { expect, test } from "vitest";

import { mark, SealedIndex } from "./sealed-index.ts";

const key = fc.integer({ min: 1, max: 300 }).map((id) => `logs/github.com/1/2/${id}.log.zst`);
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("hex"));

test("every key that was put is found, and no other", () => {
  const entries = fc.array(
    fc.record({ key, size: fc.nat({ max: 2 ** 40 }), sha256: hash, sequence: fc.integer({ min: 1, max: 9 }) }),
  );
  fc.assert(
    fc.property(entries, (puts) => {
      const index = new SealedIndex();
      for (const { sequence, ...entry } of puts) index.put(entry, sequence);
      const last = new Map(puts.map((entry) => [entry.key, entry]));
      expect(index.size).toBe(last.size);
      for (const [name, { size, sha256, sequence }] of last) {
        const row = index.find(name) ?? -1;
        expect([index.sizeOf(row), index.sha256Of(row), index.sealOf(row)]).toEqual([size, sha256, sequence]);
      }
      expect(index.find("logs/github.com/1/2/301.log.zst")).toBeUndefined();
    }),
  );
});

test("flags are independent, and stay when the index grows beyond its first block", () => {
  const index = new SealedIndex();
  const name = (id: number) => `records/github.com/1/2/${id}.json`;
  for (let id = 0; id < 20_000; id += 1) {
    const row = index.put({ key: name(id), size: id, sha256: id.toString(16).padStart(64, "0") }, 1);
    if (id % 3 === 0) index.set(row, mark.isPresent);
    if (id % 5 === 0) index.set(row, mark.isTombstoned);
  }
  const wrong = Array.from({ length: 20_000 }, (_, id) => id).filter((id) => {
    const row = index.find(name(id)) ?? -1;
    const marks = [index.has(row, mark.isPresent), index.has(row, mark.isTombstoned)];
    return marks[0] !== (id % 3 === 0) || marks[1] !== (id % 5 === 0) || index.sizeOf(row) !== id;
  });
  expect(wrong).toEqual([]);
  const row = index.find(name(15)) ?? -1;
  index.set(row, mark.isTombstoned, false);
  expect([index.has(row, mark.isPresent), index.has(row, mark.isTombstoned)]).toEqual([true, false]);
});

test("an unsealed object has a size and seal 0", () => {
  const index = new SealedIndex();
  const row = index.addUnsealed("logs/github.com/1/2/3.log.zst", 7);
  expect([index.find("logs/github.com/1/2/3.log.zst"), index.sealOf(row), index.sizeOf(row)]).toEqual([row, 0, 7]);
});
