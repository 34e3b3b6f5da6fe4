// Applies a lie to one page of a list, or to a single object, without I/O.

import type { ListLie } from "./lies.ts";

/** A page of a list; or a single object, as the only item. */
export type Page = {
  readonly items: readonly unknown[];
  /** Undefined where the list has no count. */
  readonly totalCount: number | undefined;
  /** The `Link` header; undefined without one. */
  readonly link: string | undefined;
};

export type PageContext = {
  /** Number of items on earlier pages. */
  readonly before: number;
  /** The next page; undefined for the last one. */
  readonly next: Page | undefined;
};

/** @returns the page as the lie shows it, or the reason why the lie does not apply. */
export function spoilList(page: Page, lie: ListLie, { before, next }: PageContext): Page | string {
  const { items } = page;
  const total = (agreeing: number) => totalOf(page, lie, agreeing);
  switch (lie.kind) {
    case "empty-list":
      return { items: [], totalCount: total(before), link: withoutNext(page.link) };
    case "short-list": {
      const shown = items.slice(0, lie.keepFirst ?? Math.max(items.length - (lie.removeLast ?? 0), 0));
      if (!lie.keepNext) return { items: shown, totalCount: total(before + shown.length), link: withoutNext(page.link) };
      return { items: shown, totalCount: total((page.totalCount ?? 0) - items.length + shown.length), link: page.link };
    }
    case "shifted-list": {
      const shown = [...items.slice(lie.by), ...(next?.items.slice(0, lie.by) ?? [])];
      const hasNext = next !== undefined && (next.items.length > lie.by || hasNextPage(next.link));
      const totalCount = total(Math.max((page.totalCount ?? 0) - lie.by, 0));
      return { items: shown, totalCount, link: hasNext ? page.link : withoutNext(page.link) };
    }
    case "duplicate-item": {
      const item = indexOf(items, lie.item);
      const place = lie.inPlaceOf === undefined ? items.length : indexOf(items, lie.inPlaceOf);
      if (item === undefined || place === undefined) return "the page has too few items";
      const shown = items.toSpliced(place, 1, items[item]);
      return { ...page, items: shown, totalCount: total((page.totalCount ?? 0) - items.length + shown.length) };
    }
    case "no-link":
      return { ...page, link: undefined };
    case "total-count":
      return page.totalCount === undefined
        ? "the list has no total_count"
        : { ...page, totalCount: lie.value ?? Math.max(page.totalCount + (lie.by ?? 0), 0) };
    case "odd-object": {
      const place = indexOf(items, lie.index);
      if (place === undefined) return "the page has too few items";
      return { ...page, items: items.with(place, without(merge(items[place], lie.patch), lie.remove)) };
    }
  }
}

export function hasNextPage(link: string | undefined): boolean {
  return nextUrl(link) !== undefined;
}

/** @returns the URL of `rel="next"`. */
export function nextUrl(link: string | undefined): string | undefined {
  return /<([^>]*)>; rel="next"/.exec(link ?? "")?.[1];
}

function withoutNext(link: string | undefined): string | undefined {
  const kept = (link ?? "").split(", ").filter((part) => part !== "" && !/rel="(?:next|last)"$/.test(part));
  return kept.length === 0 ? undefined : kept.join(", ");
}

function totalOf(page: Page, lie: ListLie, agreeing: number): number | undefined {
  if (page.totalCount === undefined || !("totalCount" in lie) || lie.totalCount === "kept") return page.totalCount;
  return lie.totalCount === "shown" ? agreeing : lie.totalCount;
}

function indexOf(items: readonly unknown[], index: number): number | undefined {
  const place = index < 0 ? items.length + index : index;
  return place >= 0 && place < items.length ? place : undefined;
}

// RFC 7396, except that null is a value, since a lie must be able to show it.
function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const base = isObject(target) ? target : {};
  return { ...base, ...Object.fromEntries(Object.entries(patch).map(([name, value]) => [name, merge(base[name], value)])) };
}

function without(value: unknown, names: readonly string[]): unknown {
  return isObject(value) && names.length > 0
    ? Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)))
    : value;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
