// Generates the data dictionary of the views of schema audit from the catalogue and its comments.

import type pg from "pg";

type Column = { readonly name: string; readonly type: string; readonly nullable: boolean; readonly comment: string };
type Relation = { readonly name: string; readonly comment: string; readonly columns: readonly Column[] };

// The catalogue has no `not null` for a view's columns, so their comments say when they are null, which a test checks. Types are printed as in psql, except timestamptz.
const relationsOf = `
  select
    relname as name,
    obj_description(pg_class.oid, 'pg_class') as comment,
    json_agg(
      json_build_object(
        'name', attname,
        'type', replace(format_type(atttypid, atttypmod), 'timestamp with time zone', 'timestamptz'),
        'nullable', col_description(attrelid, attnum) ~* '\\mnull\\M',
        'comment', col_description(attrelid, attnum)
      ) order by attnum
    ) as columns
  from pg_class
  join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
  where relnamespace = 'audit'::regnamespace and relkind = 'v'
  group by pg_class.oid
  order by relname`;

/** @returns Markdown: the introduction, then a section for each view. */
export async function writeDictionary(client: pg.ClientBase, introduction: string): Promise<string> {
  const views = await listRelations(client);
  return [
    "<!-- Made by `npx pnpm db:types` from packages/database/dictionary.md and the comments of the database. Do not edit. -->",
    introduction.trim(),
    "## How the views join",
    ["```mermaid", ...entityDiagram(views), "```"].join("\n"),
    "## Views of schema `audit`",
    "“null” marks a column that can be null; its meaning says when.",
    ...views.flatMap(section),
    "The tables of schema `archive` may change in any release: query the views. Each table and column has a comment (`\\d+ archive.runs` in psql).",
  ].join("\n\n");
}

async function listRelations(client: pg.ClientBase): Promise<Relation[]> {
  return (await client.query<Relation>(relationsOf)).rows;
}

function section({ name, comment, columns }: Relation): string[] {
  const rows = columns.map((column) => [
    `\`${column.name}\``,
    column.type,
    column.nullable ? "null" : "",
    escapeCell(column.comment),
  ]);
  const table = [["column", "type", "null?", "meaning"], ["---", "---", "---", "---"], ...rows];
  return [`### audit.${name}`, escapeText(comment), table.map((cells) => `| ${cells.join(" | ")} |`).join("\n")];
}

/** Each view with its ids, joined to jobs by job, else by run, else by repository. */
function entityDiagram(views: readonly Relation[]): string[] {
  const keys = ["repository_id", "run_id", "run_attempt", "job_id", "step_number"];
  const has = (view: Relation, key: string) => view.columns.some(({ name }) => name === key);
  const entities = views.flatMap((view) => [
    `  ${view.name} {`,
    ...view.columns.filter(({ name }) => keys.includes(name)).map(({ name, type }) => `    ${type} ${name}`),
    "  }",
  ]);
  const joins = views
    .filter(({ name }) => name !== "jobs")
    .flatMap((view) => {
      const optional = view.columns.find(({ name }) => name === "job_id")?.nullable;
      if (has(view, "job_id")) return [`  jobs ${optional ? "|o" : "||"}--o{ ${view.name} : job_id`];
      if (has(view, "run_id")) return [`  ${view.name} }o--o{ jobs : "run_id, and run_attempt"`];
      if (has(view, "repository_id")) return [`  ${view.name} }o--o{ jobs : repository_id`];
      return [];
    });
  return ["erDiagram", ...joins, ...entities];
}

const escapeText = (text: string) => text.replaceAll(/[\\`*<>[\]]/g, "\\$&");
const escapeCell = (text: string) => escapeText(text).replaceAll("|", "\\|");
