// How long a process lives, counted in its calls to the outside. A dead one reaches nothing any more, not even to clean up.

import type { Store } from "@actions-archive/archive/store/store";
import { withCalls } from "@actions-archive/archive/test-support/changed-store";
import { TransientError } from "@actions-archive/core/errors";
import type { Database } from "@actions-archive/database/connection/open-database";

export class Life {
  isDead = false;
  /** How many of the store's next calls fail. */
  storeFaults = 0;
  #callsLeft = Infinity;

  dieAfter(calls: number): void {
    this.#callsLeft = calls;
  }

  /** @throws when the process is dead, or dies of this call. */
  call(): void {
    this.#callsLeft -= 1;
    this.isDead ||= this.#callsLeft < 0;
    if (this.isDead) throw new Error("the process is dead");
  }

  mortalDatabase(db: Database): Database {
    return db.withPlugin({
      transformQuery: ({ node }) => {
        this.call();
        return node;
      },
      transformResult: async ({ result }) => result,
    });
  }

  mortalStore(store: Store): Store {
    return withCalls(store, ({ make }) => {
      this.call();
      if (this.storeFaults > 0) {
        this.storeFaults -= 1;
        throw new TransientError("store/unavailable", "the store is away");
      }
      return make();
    });
  }

  /** @returns `object`, these methods of which a dead process calls in vain. */
  mortal<T extends object>(object: T, names: readonly (keyof T & string)[]): T {
    for (const name of names) {
      // Whatever the method is, it is called with what it was called with.
      const original = object[name] as (...args: unknown[]) => unknown;
      const mortal = async (...args: unknown[]): Promise<unknown> => {
        this.call();
        return original.apply(object, args);
      };
      Object.defineProperty(object, name, { value: mortal });
    }
    return object;
  }
}
