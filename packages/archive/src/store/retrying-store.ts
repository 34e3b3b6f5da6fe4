// For who reads a whole archive, which takes hours: one bad moment of the store must not end it.

import { retry } from "@actions-archive/core/retry";

import type { Store } from "./store.ts";

/** Each of them is a few tries of the store's own. */
const patience = { retries: 3, minTimeoutMs: 500 };

/** The same store, whose single readings are tried for longer. Who opened it disposes of it. */
export function retryingStore(store: Store): Store {
  return {
    url: store.url,
    get capabilities() {
      return store.capabilities;
    },
    head: (...about) => retry(() => store.head(...about), patience),
    read: (...about) => retry(() => store.read(...about), patience),
    open: (...about) => retry(() => store.open(...about), patience),
    probe: () => store.probe(),
    put: (...about) => store.put(...about),
    remove: (...about) => store.remove(...about),
    list: (...about) => store.list(...about),
    listVersions: (...about) => store.listVersions(...about),
    [Symbol.asyncDispose]: async () => {},
  };
}
