// The schema that a statement writes to. The same statements write the auditor's rows and the expected rows of a comparison.

import { type RawBuilder, sql } from "kysely";

export type Schema = RawBuilder<unknown>;

export const archiveSchema: Schema = sql.id("archive");
/** Of the session's own temporary tables. */
export const temporarySchema: Schema = sql.id("pg_temp");
