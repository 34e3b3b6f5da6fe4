// The buffer that keeps both ends of a list.

import fc from "fast-check";
import { expect, test } from "vitest";

import { HeadTailBuffer } from "./head-tail-buffer.ts";

test("the first and the last items are kept in order, and the rest is counted", () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), fc.integer({ min: 1, max: 5 }), (items, half) => {
      const list = new HeadTailBuffer<number>(half);
      for (const item of items) list.push(item);
      const isWhole = items.length <= 2 * half;
      expect(list.items()).toEqual(isWhole ? items : [...items.slice(0, half), ...items.slice(-half)]);
      expect(list.leftOut).toBe(isWhole ? 0 : items.length - 2 * half);
    }),
  );
});
