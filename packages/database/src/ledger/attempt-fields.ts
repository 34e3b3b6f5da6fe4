// Fields of a run object that belong to one attempt and can differ in the next.

import { sql } from "kysely";

import { asFields, id, text } from "../rows/job-rows.ts";

export type AttemptFields = {
  /** Login of who triggered the run. */
  readonly actor: string | null;
  /** Login of who triggered this attempt. */
  readonly triggering_actor: string | null;
  /** Of the open pull requests that the object names; null where it has no list of them. */
  readonly pull_request_numbers: readonly number[] | null;
  /** owner/name that the commit is from. */
  readonly head_repository: string | null;
};

/** The same columns for `unnest`; the numbers are sent as JSON. */
export const attemptFieldTypes = {
  actor: "text",
  triggering_actor: "text",
  pull_request_numbers: "json",
  head_repository: "text",
} as const;

/** Converts the `pull_request_numbers` of `unnest` to the column. */
export const pullRequestNumbers = sql`
  case when json_typeof(pull_request_numbers) = 'array' then array(select json_array_elements_text(pull_request_numbers)::bigint) end`;

/** Never throws, so that one invalid field does not lose an attempt. Null for each missing or invalid field. */
export function attemptFields(object: unknown): AttemptFields {
  const run = asFields(object);
  const pulls = run["pull_requests"];
  return {
    actor: text(asFields(run["actor"])["login"]),
    triggering_actor: text(asFields(run["triggering_actor"])["login"]),
    pull_request_numbers: Array.isArray(pulls)
      ? pulls.map((pull) => id(asFields(pull)["number"])).filter((number) => number !== null)
      : null,
    head_repository: text(asFields(run["head_repository"])["full_name"]),
  };
}
