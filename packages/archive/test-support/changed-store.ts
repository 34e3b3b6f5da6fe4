// A store that does some things otherwise than the one it is made of: tests have it fail, wait, lie or take notes.

import type { Store } from "../src/store/store.ts";

/** `store`, of which these methods are others. */
export function withMethods(store: Store, methods: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, name) {
      const other: unknown = Reflect.get(methods, name);
      // Bound: what a class keeps to itself is not its proxy's.
      return other ?? bound(target, name);
    },
  });
}

/** A call of a method, which `make` makes, as often as it is called: never, for a store that fails. */
export type StoreCall = { readonly method: string; readonly args: readonly unknown[]; readonly make: () => unknown };

/** `store`, whose calls are answered by `answer`. Its end is its own. */
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
