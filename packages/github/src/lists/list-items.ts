// Validates the items of a list one by one: GitHub has sent lists with one object of an undocumented shape, which must not lose the
// others.

import { z } from "zod";

import type { UnusableItem } from "../api.ts";

/** The schema of a list whose items are under `key`; the items themselves are not checked. */
export function listOf<Key extends string>(key: Key) {
  // A computed key widens to an index signature; the schema has exactly this key.
  const shape = { total_count: z.int().nonnegative().nullish(), [key]: z.array(z.unknown()) } as {
    total_count: z.ZodOptional<z.ZodNullable<z.ZodInt>>;
  } & Record<Key, z.ZodArray<z.ZodUnknown>>;
  return z.looseObject(shape);
}

/** Separates items that match the schema, as received, from those that do not, with their problems. Never throws. */
export function splitItems<S extends z.ZodType>(
  schema: S,
  items: readonly unknown[],
): { readonly data: readonly z.output<S>[]; readonly unusable: readonly UnusableItem[] } {
  const data: z.output<S>[] = [];
  const unusable: UnusableItem[] = [];
  for (const item of items) {
    const parsed = schema.safeParse(item);
    // The schemas validate without transforming, so the item as received has their output type.
    if (parsed.success) data.push(item as z.output<S>);
    else unusable.push({ object: item, problem: describeIssues(parsed.error, item), place: data.length });
  }
  return { data, unusable };
}

/** Describes the first three problems of an object, each with its path and the value there. */
export function describeIssues({ issues }: z.ZodError, object: unknown): string {
  return issues
    .slice(0, 3)
    .map(({ path, message }) => {
      const value = JSON.stringify(path.reduce(childOf, object))?.slice(0, 100) ?? "missing";
      return `${path.length === 0 ? "it" : path.join(".")} is ${value}: ${message}`;
    })
    .join("; ");
}

function childOf(parent: unknown, key: PropertyKey): unknown {
  return typeof parent === "object" && parent !== null ? Reflect.get(parent, key) : undefined;
}
