import fc from "fast-check";
import { expect, test } from "vitest";

import { uncoveredSpans } from "./uncovered-spans.ts";

const at = (n: number) => new Date(n * 1000);
const span = (start: number, end: number) => ({ start: at(start), end: at(end) });

test("uncovered spans are listed newest first", () => {
  expect(uncoveredSpans(span(0, 100), [span(10, 20), span(50, 90)])).toEqual([span(90, 100), span(20, 50), span(0, 10)]);
  expect(uncoveredSpans(span(0, 100), [])).toEqual([span(0, 100)]);
  expect(uncoveredSpans(span(0, 100), [span(-5, 200)])).toEqual([]);
});

test("every second is in a window or in exactly one span", () => {
  const window = fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 30 })).map(([start, length]) => span(start, start + length));
  fc.assert(
    fc.property(fc.array(window, { maxLength: 6 }), (windows) => {
      const spans = uncoveredSpans(span(10, 50), windows);
      for (let second = 10; second < 50; second++) {
        const inside = (list: readonly { start: Date; end: Date }[]) =>
          list.filter(({ start, end }) => start <= at(second) && at(second) < end).length;
        expect(inside(spans)).toBe(inside(windows) > 0 ? 0 : 1);
      }
    }),
  );
});
