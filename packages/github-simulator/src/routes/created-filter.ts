// The `created` parameter of a run list: GitHub's search syntax for dates.
// https://docs.github.com/search-github/getting-started-with-searching-on-github/understanding-the-search-syntax#query-for-dates
export type TimeRange = { readonly fromMs: number; readonly toMs: number };

/** @returns both ends, inclusive, in milliseconds; undefined when the text is not a valid filter. */
export function tryParseCreated(text: string): TimeRange | undefined {
  const range = /^(.+)\.\.(.+)$/.exec(text);
  if (range) {
    const from = range[1] === "*" ? { fromMs: -Infinity, toMs: -Infinity } : tryParseMoment(range[1] ?? "");
    const to = range[2] === "*" ? { fromMs: Infinity, toMs: Infinity } : tryParseMoment(range[2] ?? "");
    return from && to ? { fromMs: from.fromMs, toMs: to.toMs } : undefined;
  }
  const [, operator = "", moment = ""] = /^(>=|<=|>|<)?(.+)$/.exec(text) ?? [];
  const parsed = tryParseMoment(moment);
  if (parsed === undefined) return undefined;
  switch (operator) {
    case ">=":
      return { fromMs: parsed.fromMs, toMs: Infinity };
    case ">":
      return { fromMs: parsed.toMs + 1, toMs: Infinity };
    case "<=":
      return { fromMs: -Infinity, toMs: parsed.toMs };
    case "<":
      return { fromMs: -Infinity, toMs: parsed.fromMs - 1 };
    default:
      return parsed;
  }
}

const form = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2}:\d{2})(:\d{2})?(?:\.\d+)?(Z|[+-]\d{2}:?\d{2})?)?$/;

// A day includes all of its seconds, and so does a minute: GitHub compares at the precision that was written.
function tryParseMoment(text: string): TimeRange | undefined {
  const [matched, day, minute, second, zone] = form.exec(text) ?? [];
  if (matched === undefined || day === undefined) return undefined;
  const offset = zone === undefined || zone === "Z" ? "Z" : zone.replace(/^([+-]\d{2}):?(\d{2})$/, "$1:$2");
  const fromMs = Date.parse(`${day}T${minute ?? "00:00"}${second ?? ":00"}${offset}`);
  if (Number.isNaN(fromMs)) return undefined;
  const lengthMs = minute === undefined ? 86_400_000 : second === undefined ? 60_000 : 1_000;
  return { fromMs, toMs: fromMs + lengthMs - 1 };
}
