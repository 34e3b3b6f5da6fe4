// Maps a report's parameters to options of the same names, and validates their values before Postgres reads them.

import type { ReportParameter } from "@actions-archive/database/audit/report-file";
import { Argument, InvalidArgumentError, Option } from "commander";

import { parseJobId } from "../parse-job-id.ts";
import { parseCount, parseInstant } from "../parse-option.ts";

/** `--job-pattern <regex>` for job_pattern. */
export function reportOption({ name, placeholder, description }: ReportParameter): Option {
  const option = new Option(`--${name.replaceAll("_", "-")} <${placeholder}>`, description);
  return /^\w+(\|\w+)+$/.test(placeholder ?? "")
    ? option.choices(placeholder?.split("|") ?? [])
    : option.argParser((text: string) => parseValue(name, text));
}

/** A required parameter is an argument after the report's name. */
export function reportArgument({ name, description }: ReportParameter): Argument {
  return new Argument(`<${name}>`, description).argParser((text: string) => parseValue(name, text));
}

/** @returns the value to bind. @throws InvalidArgumentError when `text` is not a valid value. */
export function parseValue(name: string, text: string): string {
  switch (name) {
    case "since":
    case "until":
      return parseInstant(text).toISOString();
    case "limit":
    case "within":
      return String(parseCount(text));
    case "job_id":
      return String(parseJobId(text));
    case "action":
      if (/^(docker:\/\/[^@\s/]+|[^@\s/:]+\/[^@\s/]+)(\/[^@\s/]+)*(@\S+)?$/.test(text)) return text;
      throw new InvalidArgumentError("must be owner/name, owner/name/path or docker://image, with @ref or @sha where it matters");
    case "repository":
      if (/^[^\s/]+\/[^\s/]+$/.test(text)) return text;
      throw new InvalidArgumentError("must be owner/name");
    default:
      return text;
  }
}
