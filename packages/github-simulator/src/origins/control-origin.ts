// The control functions over HTTP: `POST /{function}` with a JSON object of arguments, `GET /` for the list of functions.

import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";

import { z } from "zod";

import { controlInputs } from "../control-inputs.ts";
import type { Control } from "../control.ts";
import { type Answer, answerOf } from "../http/answer.ts";

const json = { "content-type": "application/json; charset=utf-8" } as const;

export async function answerControlRequest(request: IncomingMessage, control: Control): Promise<Answer> {
  const { pathname } = new URL(request.url ?? "/", "http://control.invalid");
  const name = pathname.slice(1);
  if (name === "")
    return jsonAnswer(
      200,
      Object.fromEntries(Object.entries(controlInputs).map(([each, input]) => [each, z.toJSONSchema(input, { io: "input" })])),
    );
  if (!isFunction(name)) return jsonAnswer(404, { message: `no control function ${name}; GET / lists them` });
  try {
    const body = await text(request);
    const input: unknown = body.trim() === "" ? {} : JSON.parse(body);
    // Each function parses its own input.
    const run = control[name] as (input: unknown) => unknown;
    return jsonAnswer(200, (await run(input)) ?? {});
  } catch (error) {
    return jsonAnswer(400, { message: error instanceof z.ZodError ? z.prettifyError(error) : String(error) });
  }
}

function isFunction(name: string): name is keyof typeof controlInputs {
  return Object.hasOwn(controlInputs, name);
}

function jsonAnswer(status: number, body: unknown): Answer {
  return answerOf(status, json, JSON.stringify(body));
}
