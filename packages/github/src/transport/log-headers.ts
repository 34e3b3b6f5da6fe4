// What the headers of a downloaded log say about its bytes.

/** As undici gives them, whatever its type says: a header that came twice is a list. */
type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** `aws-chunked` describes how an upload was signed; S3 and its clones store it with the object, whose bytes are plain. */
const plainCodings: ReadonlySet<string> = new Set(["", "identity", "aws-chunked"]);

/** Whether the body is the log itself. An empty Content-Encoding encodes nothing, and codings have no case (RFC 9110, 8.4.1). */
export function isUnencoded(headers: Headers): boolean {
  const codings = String(headers["content-encoding"] ?? "").split(",");
  return codings.every((coding) => plainCodings.has(coding.trim().toLowerCase()));
}

/** Whether the type is that of an error document: HTML, XML or JSON. GitHub serves logs as text/plain or application/octet-stream. */
export function isDocumentType(headers: Headers): boolean {
  return /^(?:text\/html|application\/xhtml|(?:text|application)\/(?:[\w.-]+\+)?(?:xml|json))/i.test(
    String(headers["content-type"] ?? "").trim(),
  );
}
