// The lifetime of a process, limited to a number of external calls. A dead process cannot make any call, not even for cleanup.

import type { Store } from "@actions-archive/archive/store/store";
import { withCalls } from "@actions-archive/archive/test-support/changed-store";
import { TransientError } from "@actions-archive/core/errors";
import type { Database } from "@actions-archive/database/connection/open-database";

export class Lifetime {
  isDead = false;
  /** The number of the store's next calls that fail. */
  storeFaults = 0;
  #callsLeft = Infinity;

  dieAfter(calls: number): void {
    this.#callsLeft = calls;
  }

  /** @throws when the process is dead, or dies at this call. */
  call(): void {
    this.#callsLeft -= 1;
    this.isDead ||= this.#callsLeft < 0;
    if (this.isDead) throw new Error("the process is dead");
  }

  limitDatabase(db: Database): Database {
    return db.withPlugin({
      transformQuery: ({ node }) => {
        this.call();
        return node;
      },
      transformResult: async ({ result }) => result,
    });
  }

  limitStore(store: Store): Store {
    return withCalls(store, ({ make }) => {
      this.call();
      if (this.storeFaults > 0) {
        this.storeFaults -= 1;
        throw new TransientError("store/unavailable", "the store is away");
      }
      return make();
    });
  }

  /** @returns `object`, whose named methods fail once the process is dead. */
  limit<T extends object>(object: T, names: readonly (keyof T & string)[]): T {
    for (const name of names) {
      // Arguments are passed on unchanged, so their types do not matter here.
      const original = object[name] as (...args: unknown[]) => unknown;
      const limited = async (...args: unknown[]): Promise<unknown> => {
        this.call();
        return original.apply(object, args);
      };
      Object.defineProperty(object, name, { value: limited });
    }
    return object;
  }
}
