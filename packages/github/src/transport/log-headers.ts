// Interprets the headers of a downloaded log.

/** As undici returns them, despite its types: a repeated header is an array. */
type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** `aws-chunked` describes how an upload was signed. S3-compatible stores keep it with the object, whose bytes are not encoded. */
const plainCodings: ReadonlySet<string> = new Set(["", "identity", "aws-chunked"]);

/** Whether the body is not encoded. An empty Content-Encoding is none, and codings are case-insensitive (RFC 9110, 8.4.1). */
export function isUnencoded(headers: Headers): boolean {
  const codings = String(headers["content-encoding"] ?? "").split(",");
  return codings.every((coding) => plainCodings.has(coding.trim().toLowerCase()));
}

/** Whether the Content-Type is that of an error document (HTML, XML, JSON). GitHub serves logs as text/plain or application/octet-stream. */
export function isDocumentType(headers: Headers): boolean {
  return /^(?:text\/html|application\/xhtml|(?:text|application)\/(?:[\w.-]+\+)?(?:xml|json))/i.test(
    String(headers["content-type"] ?? "").trim(),
  );
}
