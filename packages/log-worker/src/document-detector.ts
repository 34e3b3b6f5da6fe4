// Detects JSON, HTML and XML documents among downloaded bodies: proxies and log hosts serve errors with status 200.

/** Error documents are short; a longer body is neither buffered nor parsed. */
const maxDocumentBytes = 1024 * 1024;

/** Buffers a body that begins like a document, and nothing of a log, which begins with a timestamp. */
export class DocumentDetector {
  #buffered: Buffer[] = [];
  #bufferedBytes = 0;
  #state: "start" | "document" | "other" = "start";

  /** Copies what it buffers: the caller may release the chunk's memory. */
  write(chunk: Buffer): void {
    if (this.#state === "other") return;
    this.#bufferedBytes += chunk.length;
    if (this.#bufferedBytes > maxDocumentBytes) return this.#stop();
    this.#buffered.push(Buffer.from(chunk));
    if (this.#state === "start") this.#readStart(chunk);
  }

  /** Whether the body is one document, apart from leading white space and a BOM, which `trim` removes, too. */
  isDocument(): boolean {
    if (this.#state !== "document") return false;
    const text = Buffer.concat(this.#buffered).toString("utf8").trim();
    return text.startsWith("<") ? isMarkup(text) : isJson(text);
  }

  // All preceding bytes were white space or a BOM (EF BB BF).
  #readStart(chunk: Buffer): void {
    const first = /[^\s\xef\xbb\xbf]/.exec(chunk.toString("latin1"))?.[0];
    if (first === undefined) return;
    if (/[{[<]/.test(first)) this.#state = "document";
    else this.#stop();
  }

  #stop(): void {
    this.#state = "other";
    this.#buffered = [];
  }
}

/** HTML need not be well-formed to be a page, so the first tag decides. */
function isMarkup(text: string): boolean {
  return /^<(?:!doctype|\?xml|html|head|body)\b/i.test(text) || (/^<[!?a-z]/i.test(text) && text.endsWith(">"));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
