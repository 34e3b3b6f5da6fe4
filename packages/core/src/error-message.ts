// What an error says, for a message that wraps it.
/** The message of an error, its code where it has no message (Node's connection errors), and text as it is. */
export function errorMessage(error: unknown): string {
  if (!(error instanceof Error)) return typeof error === "string" ? error : JSON.stringify(error);
  if (error.message !== "") return error.message;
  // Node tries several addresses, and says nothing of its own when all of them fail.
  if (error instanceof AggregateError) return error.errors.map(errorMessage).join("; ");
  return "code" in error ? String(error.code) : error.name;
}
