// Compares views, functions, triggers, rules and policies of a database with those of this version, which are created from the same
// files in separate schemas, in a transaction that is rolled back.

import { randomBytes } from "node:crypto";

import { sql } from "kysely";
import { DatabaseError } from "pg";

import type { Database } from "../connection/open-database.ts";
import { readSqlFolder } from "../connection/sql-folder.ts";
import { withoutTimeout } from "./compare-ledger.ts";

export type DefinitionDifference = {
  readonly kind: string;
  /** Such as `audit.jobs`; a function with its arguments, a trigger, rule or policy with its table. */
  readonly name: string;
  readonly actual: string | null;
  readonly expected: string | null;
};

export type DefinitionComparison = {
  readonly differences: readonly DefinitionDifference[];
  /** Why something was not compared; null if all was. */
  readonly refusal: string | null;
};

const insufficientPrivilege = "42501";
const undefinedObject = "42704";

type Definition = { readonly kind: string; readonly name: string; readonly definition: string };

/** Changes nothing. Needs the right to create schemas in the database. */
export async function compareDefinitions(db: Database): Promise<DefinitionComparison> {
  const suffix = randomBytes(6).toString("hex");
  const scratch = { archive: `expected_archive_${suffix}`, audit: `expected_audit_${suffix}` };
  return withoutTimeout(db, async (trx) => {
    await sql`savepoint definitions`.execute(trx);
    try {
      const actual = await listDefinitions(trx, { archive: "archive", audit: "audit" });
      const hasAccess = await createExpected(trx, scratch);
      const expected = (await listDefinitions(trx, scratch)).map((each) => ({
        ...each,
        name: inPlace(each.name, scratch),
        definition: inPlace(each.definition, scratch),
      }));
      const differences = differencesOf(actual, expected);
      if (hasAccess) return { differences, refusal: null };
      return {
        differences: differences.filter((each) => each.expected !== null),
        refusal: "policies, and the functions of docs/access.md: this role may not create them",
      };
    } catch (error) {
      if (!isRefused(error)) throw error;
      return {
        differences: [],
        refusal: "views, functions, triggers and policies: this role may not create schemas in the database",
      };
    } finally {
      await sql`rollback to savepoint definitions`.execute(trx);
    }
  });
}

function isRefused(error: unknown): boolean {
  return error instanceof DatabaseError && [insufficientPrivilege, undefinedObject].includes(error.code ?? "");
}

type Schemas = { readonly archive: string; readonly audit: string };

/** @returns false if the roles are missing, or this role may not assign objects to them: then nothing of access/ was created. */
async function createExpected(trx: Database, scratch: Schemas): Promise<boolean> {
  const folder = (name: string) => readSqlFolder(new URL(`../../${name}/`, import.meta.url));
  const run = (text: string) => sql.raw(elsewhere(text, scratch)).execute(trx);
  for (const text of Object.values(await folder("migrations"))) await run(text);
  for (const text of Object.values(await folder("functions"))) await run(text);
  await run("create schema if not exists audit");
  for (const text of Object.values(await folder("views"))) await run(text);
  await sql`savepoint access`.execute(trx);
  try {
    // Roles and grants are global to the server and the database, and are unchanged.
    const { "3_policies": policies = "", "4_auditors": auditors = "" } = await folder("access");
    await run(policies);
    await run(auditors);
    return true;
  } catch (error) {
    if (!isRefused(error)) throw error;
    await sql`rollback to savepoint access`.execute(trx);
    return false;
  }
}

function elsewhere(text: string, scratch: Schemas): string {
  return text.replaceAll(/\barchive\b/g, scratch.archive).replaceAll(/\baudit\b/g, scratch.audit);
}

function inPlace(text: string, scratch: Schemas): string {
  return text.replaceAll(scratch.archive, "archive").replaceAll(scratch.audit, "audit");
}

async function listDefinitions(trx: Database, schemas: Schemas): Promise<Definition[]> {
  // Then every name is printed with its schema.
  await sql`set local search_path = pg_catalog`.execute(trx);
  const names = sql`array[${sql.val(schemas.archive)}, ${sql.val(schemas.audit)}]::text[]`;
  const { rows } = await sql<Definition>`
    with relations as (
      select pg_class.oid, relkind, reloptions, format('%I.%I', nspname, relname) as name, relispartition
      from pg_class join pg_namespace on pg_namespace.oid = relnamespace
      where nspname = any (${names})
    )
    select 'view' as kind, name, concat_ws(E'\n', array_to_string(reloptions, ','), pg_get_viewdef(oid)) as definition
    from relations where relkind in ('v', 'm')
    union all
    select 'function', format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(pg_proc.oid)), pg_get_functiondef(pg_proc.oid)
    from pg_proc join pg_namespace on pg_namespace.oid = pronamespace
    where nspname = any (${names}) and prokind in ('f', 'p')
    union all
    select 'trigger', format('%s %I', name, tgname), concat_ws(' ', tgenabled, pg_get_triggerdef(pg_trigger.oid))
    from pg_trigger join relations on relations.oid = tgrelid
    where not tgisinternal and tgparentid = 0
    union all
    select 'rule', format('%s %I', name, rulename), pg_get_ruledef(pg_rewrite.oid)
    from pg_rewrite join relations on relations.oid = ev_class
    where rulename <> '_RETURN'
    union all
    select 'policy', format('%s %I', name, polname), concat_ws(' ', polcmd, polpermissive,
      array(select rolname from unnest(polroles) as role join pg_roles on pg_roles.oid = role order by 1)::text,
      pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
    from pg_policy join relations on relations.oid = polrelid
    order by 1, 2
  `.execute(trx);
  return rows;
}

function differencesOf(actual: readonly Definition[], expected: readonly Definition[]): DefinitionDifference[] {
  const keyOf = ({ kind, name }: Definition) => `${kind} ${name}`;
  const byKey = new Map(expected.map((each) => [keyOf(each), each]));
  const found: DefinitionDifference[] = [];
  for (const { kind, name, definition } of actual) {
    const other = byKey.get(keyOf({ kind, name, definition }))?.definition ?? null;
    byKey.delete(keyOf({ kind, name, definition }));
    if (other !== definition) found.push({ kind, name, actual: definition, expected: other });
  }
  for (const { kind, name, definition } of byKey.values()) found.push({ kind, name, actual: null, expected: definition });
  return found;
}
