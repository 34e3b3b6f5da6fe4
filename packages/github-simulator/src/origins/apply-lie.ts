// Turns the true answer of a route into the answer that a lie shows.

import { isSame } from "../http/answer-history.ts";
import { type Answer, answerOf, bytesOf } from "../http/answer.ts";
import type { Lie, ListLie } from "../http/lies.ts";
import { isObject, nextUrl, type Page, spoilList } from "../http/spoil-list.ts";
import type { Shown } from "../routes/context.ts";

export type RouteAnswer = { readonly answer: Answer; readonly shown: Shown };

export type LieContext = {
  readonly url: string;
  readonly follow: (url: string) => Promise<RouteAnswer>;
  readonly asOf: (secondsAgo: number) => Promise<RouteAnswer>;
  readonly earlier: (which: "first" | "previous") => Answer | undefined;
};

export type BodyLie = ListLie | Extract<Lie, { kind: "stale-page" | "as-of" }>;

/** @returns the answer as the lie shows it, or the reason why the lie does not apply. In that case send the true answer. */
export async function applyLie(truth: RouteAnswer, lie: BodyLie, context: LieContext): Promise<RouteAnswer | string> {
  if (lie.kind === "stale-page") {
    const answer = context.earlier(lie.answer);
    return answer === undefined ? "the URL had no other answer before" : { answer, shown: nothingShown() };
  }
  if (lie.kind === "as-of") {
    const earlier = await context.asOf(lie.secondsAgo);
    return isSame(earlier.answer, truth.answer) ? "the answer was the same then" : earlier;
  }
  if (truth.answer.status !== 200) return `the true answer has status ${truth.answer.status}`;
  const parsed = parsePage(truth.answer);
  if (parsed === undefined) return "the true answer is no JSON object or list";
  if (!parsed.isList && lie.kind !== "odd-object") return "the true answer is a single object, not a list";
  const following = lie.kind === "shifted-list" ? await followNext(parsed.page, context) : undefined;
  const page = spoilList(parsed.page, lie, { before: itemsBefore(context.url), next: following?.page });
  if (typeof page === "string") return page;
  const answer = answerWith(truth.answer, page.link, parsed.bodyOf(page));
  if (isSame(answer, answerWith(truth.answer, parsed.page.link, parsed.bodyOf(parsed.page)))) return "the lie changes nothing";
  const trueItems = [...parsed.page.items, ...(following?.page.items ?? [])];
  const shownItems = page.items.filter((item) => trueItems.includes(item));
  return { answer, shown: onlyShown([truth.shown, following?.shown], shownItems) };
}

export function nothingShown(): Shown {
  return { runs: new Set(), jobs: new Set() };
}

type ParsedPage = { readonly page: Page; readonly isList: boolean; readonly bodyOf: (page: Page) => unknown };

// A list is an array, or an object with `total_count` and one array. Everything else is a single object.
function parsePage(answer: Answer): ParsedPage | undefined {
  const body = tryParseJson(bytesOf(answer).toString());
  const { link } = answer.headers;
  if (Array.isArray(body))
    return { page: { items: body, totalCount: undefined, link }, isList: true, bodyOf: ({ items }) => items };
  if (!isObject(body)) return undefined;
  const { total_count } = body;
  const [name, items] = Object.entries(body).find(([, value]) => Array.isArray(value)) ?? [];
  if (typeof total_count === "number" && name !== undefined && Array.isArray(items)) {
    return {
      page: { items, totalCount: total_count, link },
      isList: true,
      bodyOf: (page) => ({ ...body, total_count: page.totalCount, [name]: page.items }),
    };
  }
  return { page: { items: [body], totalCount: undefined, link }, isList: false, bodyOf: (page) => page.items[0] };
}

function tryParseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function followNext(page: Page, { follow }: LieContext): Promise<{ page: Page; shown: Shown } | undefined> {
  const url = nextUrl(page.link);
  if (url === undefined) return undefined;
  const { answer, shown } = await follow(url);
  const parsed = answer.status === 200 ? parsePage(answer) : undefined;
  return parsed && { page: parsed.page, shown };
}

// Parses `page` and `per_page` like the routes.
function itemsBefore(url: string): number {
  const query = new URL(url, "http://api.invalid").searchParams;
  const perPage = Math.min(Number(query.get("per_page") ?? 30) || 30, 100);
  return (Math.max(Number(query.get("page") ?? 1) || 1, 1) - 1) * perPage;
}

function answerWith({ status, headers }: Answer, link: string | undefined, body: unknown): Answer {
  const { link: _true, ...others } = headers;
  return answerOf(status, { ...others, ...(link === undefined ? {} : { link }) }, JSON.stringify(body));
}

/** @returns what remains visible: the unchanged items. */
function onlyShown(all: readonly (Shown | undefined)[], items: readonly unknown[]): Shown {
  const ids = new Set(items.map((item) => (isObject(item) ? item["id"] : undefined)));
  const only = (kind: keyof Shown) => new Set(all.flatMap((shown) => [...(shown?.[kind] ?? [])]).filter((id) => ids.has(id)));
  return { runs: only("runs"), jobs: only("jobs") };
}
