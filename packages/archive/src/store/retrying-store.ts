// A Store that retries reads for longer, for scans that take hours.

import { retry } from "@actions-archive/core/retry";

import type { Store } from "./store.ts";

/** Each try includes the store's own retries. */
const retryOptions = { retries: 3, minTimeoutMs: 500 };

/** Wraps `store`, which the caller still has to dispose. */
export function retryingStore(store: Store): Store {
  return {
    url: store.url,
    get capabilities() {
      return store.capabilities;
    },
    head: (...args) => retry(() => store.head(...args), retryOptions),
    read: (...args) => retry(() => store.read(...args), retryOptions),
    open: (...args) => retry(() => store.open(...args), retryOptions),
    probe: () => store.probe(),
    put: (...args) => store.put(...args),
    remove: (...args) => store.remove(...args),
    list: (...args) => store.list(...args),
    listVersions: (...args) => store.listVersions(...args),
    [Symbol.asyncDispose]: async () => {},
  };
}
