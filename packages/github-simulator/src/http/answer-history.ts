// Keeps earlier answers by URL and credential, for lies that serve a stale page.

import { type Answer, bytesOf } from "./answer.ts";

type Entry = { readonly first: Answer; current: Answer; previous: Answer | undefined };

export class AnswerHistory {
  readonly #entries = new Map<string, Entry>();
  readonly #isOn: () => boolean;

  /** @param isOn whether answers are kept. A long test without such lies must not fill the memory. */
  constructor(isOn: () => boolean) {
    this.#isOn = isOn;
  }

  /** Records a true answer with status 200. */
  record(key: string, answer: Answer): void {
    if (!this.#isOn()) return;
    const known = this.#entries.get(key);
    if (known === undefined) this.#entries.set(key, { first: answer, current: answer, previous: undefined });
    else if (!isSame(known.current, answer)) {
      known.previous = known.current;
      known.current = answer;
    }
  }

  /** @returns an earlier answer that differs from the current one; undefined if there is none. */
  earlier(key: string, which: "first" | "previous"): Answer | undefined {
    const known = this.#entries.get(key);
    if (known === undefined || which === "previous") return known?.previous;
    return isSame(known.first, known.current) ? undefined : known.first;
  }
}

/** @returns whether status, `Link` header and body are equal. */
export function isSame(left: Answer, right: Answer): boolean {
  return left.status === right.status && left.headers["link"] === right.headers["link"] && bytesOf(left).equals(bytesOf(right));
}
