// Wraps a store and replaces some of its methods, so that tests can make it fail, wait, return wrong data or record calls.

import type { Store } from "../src/store/store.ts";

/** Returns `store` with these methods replaced. */
export function withMethods(store: Store, methods: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, name) {
      const other: unknown = Reflect.get(methods, name);
      // Bound to the target, since a proxy has no private fields.
      return other ?? bound(target, name);
    },
  });
}

/** A call of a method. `make` performs it; a failing store never calls it. */
export type StoreCall = { readonly method: string; readonly args: readonly unknown[]; readonly make: () => unknown };

/** Returns `store` with all calls except its disposal passed to `answer`. */
export function withCalls(store: Store, answer: (call: StoreCall) => unknown): Store {
  return new Proxy(store, {
    get(target, name) {
      const method = bound(target, name);
      if (typeof method !== "function" || typeof name === "symbol") return method;
      return (...args: unknown[]): unknown => answer({ method: name, args, make: () => Reflect.apply(method, undefined, args) });
    },
  });
}

function bound(target: Store, name: string | symbol): unknown {
  const member: unknown = Reflect.get(target, name, target);
  return typeof member === "function" ? (member.bind(target) as unknown) : member;
}
