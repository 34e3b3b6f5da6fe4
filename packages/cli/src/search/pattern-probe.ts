// Derives a probe from a pattern: a short text that every match contains, as a V8 regular expression. It finds candidate lines
// several times as fast as RE2 in JavaScript. It has alternatives and classes but no repetition, so its time is linear in the
// text. It runs on bytes as Latin-1, so that its offsets are byte offsets.

/** What a piece of a pattern matches: one of a few byte sequences, nothing (an anchor), or something a probe cannot express. */
type Piece = { readonly source: string; readonly weight: number } | "nothing" | "anything";

const maxRunLength = 12;
/** Two characters, or one and some classes: a probe that stops at every line costs more than it saves. */
const minWeight = 5;
const literalWeight = 3;
/** (?i)s is also ſ (U+017F), (?i)k also the Kelvin sign (U+212A): in UTF-8. */
const foldedBeyondAscii: Readonly<Record<string, string>> = { s: "|\\xC5\\xBF", k: "|\\xE2\\x84\\xAA" };
const escapedClasses: Readonly<Record<string, string>> = { d: "[0-9]", w: "[0-9A-Za-z_]", s: "[\\t\\n\\f\\r ]" };

// One piece of RE2's syntax, as far as it is supported here.
const pieces = new RegExp(
  [
    String.raw`(?<anchor>\^|\$|\\[bBAz])`,
    String.raw`(?<any>\.|\\[DWS]|\[\^(?:[^\[\]\\^]|\\[dws.\-\\\[\]\/])+\])`,
    String.raw`(?<escapedClass>\\[dws])`,
    String.raw`(?<class>\[(?:[\x20-\x5A\x5F-\x7E]|\\[dws.\-\\\[\]\/])+\])`,
    String.raw`\\(?<escaped>[!-\/:-@\[-` + "`" + String.raw`{-~])`,
    String.raw`(?<plain>[^\\[\](){}|?*+^$.\uFFFD])`,
  ].join("|"),
  "uy",
);
const quantifier = /(?:(?<sign>[?*+])|\{(?<least>\d+)(?<more>,\d*)?\})\??/y;

/** @returns undefined when the pattern has no probe or uses unsupported syntax. */
export function makeProbe(pattern: string, ignoreCase: boolean): RegExp | undefined {
  const isFlagged = pattern.startsWith("(?i)");
  const runs = readAlternatives(isFlagged ? pattern.slice(4) : pattern, ignoreCase || isFlagged);
  return runs && new RegExp(runs.join("|"), "g");
}

// @returns the heaviest run of each alternative; undefined when one has none.
function readAlternatives(pattern: string, ignoreCase: boolean): string[] | undefined {
  const best: string[] = [];
  let runs = new Runs();
  for (let at = 0; at <= pattern.length;) {
    if (at === pattern.length || pattern[at] === "|") {
      const run = runs.heaviest();
      if (run === undefined) return undefined;
      best.push(run);
      runs = new Runs();
      at += 1;
      continue;
    }
    const group = pattern[at] === "(" ? groupEnd(pattern, at) : at;
    if (group === undefined) return undefined;
    pieces.lastIndex = at;
    const match = group > at ? undefined : pieces.exec(pattern);
    if (match === null) return undefined;
    at = match === undefined ? group : pieces.lastIndex;
    quantifier.lastIndex = at;
    const repeated = quantifier.exec(pattern);
    if (repeated) at = quantifier.lastIndex;
    runs.add(match === undefined ? "anything" : pieceOf(match.groups ?? {}, ignoreCase), repeated?.groups);
  }
  return best;
}

/** Sequences of pieces that are adjacent in every match. */
class Runs {
  #best: { sources: string[]; weight: number } = { sources: [], weight: 0 };
  #run: { sources: string[]; weight: number } = { sources: [], weight: 0 };

  add(piece: Piece, repeated: Record<string, string | undefined> | undefined): void {
    if (piece === "nothing") return repeated && this.#end();
    if (piece === "anything") return this.#end();
    const least = repeated === undefined || repeated["sign"] === "+" ? 1 : Number(repeated["least"] ?? 0);
    for (let count = 0; count < Math.min(least, maxRunLength); count += 1) {
      if (this.#run.sources.length === maxRunLength) break;
      this.#run.sources.push(piece.source);
      this.#run.weight += piece.weight;
    }
    const isExact = repeated === undefined || (repeated["least"] !== undefined && repeated["more"] === undefined);
    if (!isExact || least === 0 || least > maxRunLength || this.#run.sources.length === maxRunLength) this.#end();
  }

  heaviest(): string | undefined {
    this.#end();
    const { sources, weight } = this.#best;
    // Classes alone match in every word: 50 MB/s for [A-Za-z0-9+/]{60,} on real logs.
    return weight >= minWeight && weight > sources.length ? sources.join("") : undefined;
  }

  #end(): void {
    if (this.#run.weight > this.#best.weight) this.#best = this.#run;
    this.#run = { sources: [], weight: 0 };
  }
}

function pieceOf(groups: Record<string, string | undefined>, ignoreCase: boolean): Piece {
  if (groups["anchor"] !== undefined) return "nothing";
  if (groups["any"] !== undefined) return "anything";
  const bytes = groups["class"] ?? escapedClasses[groups["escapedClass"]?.charAt(1) ?? ""];
  if (bytes !== undefined) return { source: ignoreCase ? foldClass(bytes) : bytes, weight: 1 };
  const text = groups["escaped"] ?? groups["plain"] ?? "";
  if (!ignoreCase) return { source: quote(text), weight: literalWeight };
  if (!/^[\0-\x7F]$/.test(text)) return "anything";
  const [lower, upper] = [text.toLowerCase(), text.toUpperCase()];
  if (lower === upper) return { source: quote(text), weight: literalWeight };
  return { source: `(?:[${lower}${upper}]${foldedBeyondAscii[lower] ?? ""})`, weight: literalWeight };
}

// A class in either case: its characters may fold beyond ASCII, and a range may include unwritten letters.
function foldClass(bytes: string): string {
  return bytes === escapedClasses["d"] ? bytes : `(?:${bytes.slice(0, -1)}A-Za-z]|\\xC5\\xBF|\\xE2\\x84\\xAA)`;
}

function quote(text: string): string {
  return Buffer.from(text)
    .toString("latin1")
    .replaceAll(/[^]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

// @returns the position after the group at `start`, without quantifiers. Groups that set flags are not supported.
function groupEnd(pattern: string, start: number): number | undefined {
  if (/^\(\?(?!:|P?<)/.test(pattern.slice(start))) return undefined;
  const tokens = /\\[^]|\[\^?\]?(?:\[:\^?\w+:\]|\\[^]|[^\]\\])*\]|[()]/g;
  tokens.lastIndex = start;
  for (let depth = 0, token = tokens.exec(pattern); token; token = tokens.exec(pattern)) {
    if (token[0] === "\\Q" || (token[0] === "(" && /^\(\?(?!:|P?<)/.test(pattern.slice(token.index)))) return undefined;
    if (token[0] === "(") depth += 1;
    if (token[0] === ")") depth -= 1;
    if (depth === 0) return tokens.lastIndex;
  }
  return undefined;
}
