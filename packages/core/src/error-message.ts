// Gets the text of an error for a message that wraps it.
/** The message of an error, or its code if the message is empty (Node's connection errors). A string is returned unchanged. */
export function errorMessage(error: unknown): string {
  if (!(error instanceof Error)) return typeof error === "string" ? error : JSON.stringify(error);
  if (error.message !== "") return error.message;
  // Node.js tries several addresses, and its error has no message when all of them fail.
  if (error instanceof AggregateError) return error.errors.map(errorMessage).join("; ");
  return "code" in error ? String(error.code) : error.name;
}
