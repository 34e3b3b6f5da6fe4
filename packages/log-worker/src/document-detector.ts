// Recognizes JSON, HTML and XML documents among downloaded bodies: proxies and log hosts serve errors with status 200.

/** Error documents are short. What is longer is not kept and not parsed. */
const maxDocumentBytes = 1024 * 1024;

/** Keeps a body that begins like a document; of a log, which begins with a timestamp, nothing. */
export class DocumentDetector {
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #state: "start" | "document" | "other" = "start";

  /** Copies what it keeps: the caller may give the chunk's memory back. */
  write(chunk: Buffer): void {
    if (this.#state === "other") return;
    this.#keptBytes += chunk.length;
    if (this.#keptBytes > maxDocumentBytes) return this.#stop();
    this.#kept.push(Buffer.from(chunk));
    if (this.#state === "start") this.#readStart(chunk);
  }

  /** Whether all that was written is one document, after white space and a BOM, which `trim` removes too. */
  isDocument(): boolean {
    if (this.#state !== "document") return false;
    const text = Buffer.concat(this.#kept).toString("utf8").trim();
    return text.startsWith("<") ? isMarkup(text) : isJson(text);
  }

  // All before it was white space, or bytes of a BOM (EF BB BF).
  #readStart(chunk: Buffer): void {
    const first = /[^\s\xef\xbb\xbf]/.exec(chunk.toString("latin1"))?.[0];
    if (first === undefined) return;
    if (/[{[<]/.test(first)) this.#state = "document";
    else this.#stop();
  }

  #stop(): void {
    this.#state = "other";
    this.#kept = [];
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
