// The schema whose tables a statement writes. One set of statements makes the auditor's rows, and those that they are held against.

import { type RawBuilder, sql } from "kysely";

export type Schema = RawBuilder<unknown>;

export const archiveSchema: Schema = sql.id("archive");
/** Of the session's own temporary tables. */
export const temporarySchema: Schema = sql.id("pg_temp");
