// Parses a report: a SQL file that psql runs unchanged, with a heading comment, `\set` lines with the parameters' defaults, and one or
// two statements that use psql's variables, :'name'. The program binds the same names, so a value never becomes part of the SQL.

export type ReportParameter = {
  readonly name: string;
  /** The value in help, such as `date or days`; `a|b` lists all values. Undefined for an argument. */
  readonly placeholder: string | undefined;
  readonly description: string;
  /** Its default; undefined if it is required. */
  readonly fallback: string | undefined;
};

export type ReportFile = {
  /** The question, in one sentence. */
  readonly summary: string;
  readonly description: string;
  readonly parameters: readonly ReportParameter[];
  /** Columns of the rows; those that share an entry have the same description. */
  readonly columns: readonly { readonly name: string; readonly description: string }[];
  readonly cannotKnow: string;
  readonly examples: readonly string[];
  /** The rows. Its one parameter is an array, `($1)[1]` the first of `parameters`; as in `unread`. */
  readonly rows: string;
  /** Counts of what could not be read (unread, count), if the report has them. */
  readonly unread: string | undefined;
};

/** @throws Error for the first part that psql and this program could read differently, or that is not documented. */
export function parseReport(text: string): ReportFile {
  const { comment, defaults, body } = splitHead(text);
  const sections = sectionsOf(comment);
  const [summary = "", ...description] = (sections.get("") ?? "").split("\n\n");
  const parameters = itemsOf(sections.get("Parameters")).map(({ head, description: words }) => {
    const [, name = "", placeholder] = /^(\w+)(?: <(.+)>)?$/.exec(head) ?? [];
    return { name, placeholder, description: words, fallback: defaults.get(name) };
  });
  const names = parameters.map(({ name }) => name);
  const unknown = [...defaults.keys()].find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`\\set ${unknown}: is not among the parameters`);
  const [rows, unread, ...more] = bindVariables(body, names);
  if (rows === undefined || more.length > 0) throw new Error("a report is one statement, and one that counts what is unread");
  return {
    summary: flow(summary),
    description: description.map(flow).join("\n\n"),
    parameters,
    columns: itemsOf(sections.get("Columns")).flatMap(({ head, description: words }) =>
      head.split(", ").map((name) => ({ name, description: words })),
    ),
    cannotKnow: flow(sections.get("Cannot know") ?? ""),
    examples: (sections.get("Examples") ?? "").split("\n").map((line) => line.trim()),
    rows,
    unread,
  };
}

/** Splits comments, psql's meta-commands and SQL. */
function splitHead(text: string): { comment: string; defaults: Map<string, string>; body: string } {
  const lines = text.split("\n");
  const headEnd = lines.findIndex((line) => !line.startsWith("--"));
  const bodyStart = lines.findIndex((line, index) => index >= headEnd && !/^(\s*\\.*|\s*)$/.test(line));
  const commands = lines.slice(headEnd, bodyStart).map((line) => line.trim());
  const defaults = new Map<string, string>();
  for (const line of commands.filter((command) => command !== "" && !/^\\(if :\{\?\w+\}|else|endif)$/.test(command))) {
    // Without backslash and quote within the value, which psql would interpret.
    const [, name, quoted, bare] = /^\\set (\w+) (?:'([^'\\]*)'|([\w.-]+))$/.exec(line) ?? [];
    if (name === undefined) throw new Error(`${line}: only \\if :{?name}, \\else, \\set name value and \\endif may stand here`);
    defaults.set(name, quoted ?? bare ?? "");
  }
  const comment = lines.slice(0, headEnd).map((line) => line.slice("-- ".length));
  return { comment: comment.join("\n"), defaults, body: lines.slice(bodyStart).join("\n") };
}

// First the constructs that may contain text like a variable or a statement's end, then these two.
const token =
  /(?<inert>--[^\n]*|\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(?<tag>[A-Za-z_]*)\$[\s\S]*?\$\k<tag>\$|::)|:'(?<name>\w+)'|(?<end>;)|(?<refused>\/\*|:["{]?\??[A-Za-z_]\w*|\\|\$\d)/g;

function bindVariables(sql: string, names: readonly string[]): string[] {
  const statements = [""];
  let from = 0;
  const add = (text: string) => statements.push((statements.pop() ?? "") + text);
  for (const match of sql.matchAll(token)) {
    const { name, end, refused } = match.groups ?? {};
    if (refused !== undefined) throw new Error(`${refused}: psql and Postgres could understand it differently; write :'name'`);
    add(sql.slice(from, match.index));
    from = match.index + match[0].length;
    if (end !== undefined) statements.push("");
    else if (name === undefined) add(match[0]);
    else if (names.includes(name)) add(`($1)[${names.indexOf(name) + 1}]`);
    else throw new Error(`:'${name}': is not among the parameters`);
  }
  add(sql.slice(from));
  return statements.map((statement) => statement.trim()).filter((statement) => !isOnlyComment(statement));
}

function isOnlyComment(sql: string): boolean {
  return sql.split("\n").every((line) => line.trim() === "" || line.trim().startsWith("--"));
}

/** The text under each heading, such as `Columns:`; the text before the first one under "". */
function sectionsOf(comment: string): Map<string, string> {
  const parts = comment.split(/^(Parameters|Columns|Cannot know|Examples):$/m);
  const pairs = parts.flatMap((part, index): [string, string][] =>
    index % 2 === 0 ? [[index === 0 ? "" : (parts[index - 1] ?? ""), part.replace(/^\n+|\s+$/g, "")]] : [],
  );
  return new Map(pairs);
}

/** Lines `  head  description`; lines with more indentation continue. */
function itemsOf(section = ""): { head: string; description: string }[] {
  return section
    .split(/\n(?= {2}\S)/)
    .filter((item) => item.trim() !== "")
    .map((item) => {
      const [head = "", ...words] = item.trim().split("  ");
      return { head, description: flow(words.join(" ")) };
    });
}

function flow(paragraph: string): string {
  return paragraph.replaceAll(/\s+/g, " ").trim();
}
