// Checks answers against GitHub's published OpenAPI descriptions. For tests only.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import { Ajv } from "ajv";
import formats from "ajv-formats";

export type Problem = {
  /** `/jobs/0/started_at`, with list positions as `*`. */
  readonly at: string;
  readonly message: string;
};

export type Description = {
  /** @returns what is wrong with `body` as an answer of `operation`, such as `GET /repos/{owner}/{repo}`; empty if nothing. */
  readonly check: (operation: string, status: number, body: unknown) => readonly Problem[];
  /** @returns whether the description has the operation. */
  readonly has: (operation: string) => boolean;
  /** @returns the description's example of the answer. */
  readonly example: (operation: string, status: number) => unknown;
};

type Node = { readonly [key: string]: unknown };

/** @param name `api.github.com`, `ghes-3.19`, … */
export function loadDescription(name: string): Description {
  const require = createRequire(import.meta.url);
  const path = join(dirname(require.resolve("@octokit/openapi")), "generated", `${name}.json`);
  const document = asNode(JSON.parse(readFileSync(path, "utf8")));
  const ajv = new Ajv({ strict: false, allErrors: true, validateSchema: false, logger: false });
  formats.default(ajv);
  const schemas = asNode(asNode(document["components"])["schemas"]);
  ajv.addSchema({ $id: "description", components: { schemas: withNulls(schemas) } });
  const contentOf = (operation: string, status: number): Node | undefined => {
    const [method = "", route = ""] = operation.split(" ");
    const responses = asNode(asNode(asNode(asNode(document["paths"])[route])[method.toLowerCase()])["responses"]);
    const answer = resolve(document, asNode(responses[String(status)]));
    const content = asNode(asNode(answer["content"])["application/json"]);
    return "schema" in content ? content : undefined;
  };
  const compiled = new Map<string, ReturnType<Ajv["compile"]>>();
  return {
    has: (operation) => contentOf(operation, 200) !== undefined || contentOf(operation, 201) !== undefined,
    example: (operation, status) => {
      const examples = asNode(contentOf(operation, status)?.["examples"]);
      return resolve(document, asNode(examples["default"]))["value"];
    },
    check: (operation, status, body) => {
      const key = `${operation} ${status}`;
      const content = contentOf(operation, status);
      if (content === undefined) throw new Error(`${name} describes no ${status} of ${operation}`);
      const validate = compiled.get(key) ?? ajv.compile(asNode(withNulls(content["schema"])));
      compiled.set(key, validate);
      if (validate(body) === true) return [];
      return (validate.errors ?? []).map((error) => ({
        at:
          error.instancePath.replaceAll(/\/\d+/g, "/*") +
          (error.keyword === "required" ? `/${String(error.params["missingProperty"])}` : ""),
        message: error.message ?? error.keyword,
      }));
    },
  };
}

// OpenAPI 3.0 has `nullable`, JSON Schema does not; and its references are relative to the document.
function withNulls(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withNulls);
  if (typeof schema !== "object" || schema === null) return schema;
  const { nullable, example: _example, examples: _examples, ...rest } = asNode(schema);
  const converted = Object.fromEntries(
    Object.entries(rest).map(([key, value]) => [
      key,
      key === "$ref" && typeof value === "string" ? value.replace("#/", "description#/") : withNulls(value),
    ]),
  );
  return nullable === true ? { anyOf: [{ type: "null" }, converted] } : converted;
}

function resolve(document: Node, node: Node): Node {
  const reference = node["$ref"];
  if (typeof reference !== "string") return node;
  const target = reference
    .slice(2)
    .split("/")
    .reduce<unknown>((at, key) => asNode(at)[key], document);
  return asNode(target);
}

// Missing parts read as empty, so that a missing operation is reported as "not described".
function asNode(value: unknown): Node {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
