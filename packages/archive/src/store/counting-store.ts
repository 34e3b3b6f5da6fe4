// A Store that counts its calls by operation and result, for `/metrics`.

import { ActionsArchiveError } from "@actions-archive/core/errors";
import type { Metrics } from "@actions-archive/core/metrics";

import type { Store } from "./store.ts";

/** Wraps `store`, which the caller still has to dispose. A listing counts as one call, whatever its pages. */
export function countingStore(store: Store, { storeRequests }: Pick<Metrics, "storeRequests">): Store {
  const count = async <T>(operation: string, call: () => Promise<T>): Promise<T> => {
    try {
      const result = await call();
      storeRequests.inc({ operation, class: "ok" });
      return result;
    } catch (error) {
      storeRequests.inc({ operation, class: classOf(error) });
      throw error;
    }
  };
  return {
    url: store.url,
    get capabilities() {
      return store.capabilities;
    },
    head: (...args) => count("head", () => store.head(...args)),
    read: (...args) => count("read", () => store.read(...args)),
    open: (...args) => count("open", () => store.open(...args)),
    probe: () => count("probe", () => store.probe()),
    put: (...args) => count("put", () => store.put(...args)),
    remove: (...args) => count("remove", () => store.remove(...args)),
    list(...args) {
      storeRequests.inc({ operation: "list", class: "ok" });
      return store.list(...args);
    },
    listVersions: (...args) => count("list_versions", () => store.listVersions(...args)),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

function classOf(error: unknown): "unavailable" | "refused" | "corrupt" | "error" {
  if (!(error instanceof ActionsArchiveError)) return "error";
  if (error.code === "store/unavailable") return "unavailable";
  if (error.code === "store/refused") return "refused";
  return error.code === "store/corrupt" ? "corrupt" : "error";
}
