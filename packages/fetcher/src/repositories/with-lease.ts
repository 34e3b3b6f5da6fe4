// Runs work under a lease in the ledger: renews it periodically, and aborts the work when it is lost. A dead process's lease
// expires within 60 seconds.

import type { Logger } from "@actions-archive/core/logger";

export const leaseSeconds = 45;
const renewalMs = 15_000;

export type Lease = {
  /** Extends the lease by `leaseSeconds`; false when it is lost. */
  readonly renew: () => Promise<boolean>;
  readonly log: Logger;
  readonly signal: AbortSignal;
};

/** Runs `work` with a signal that aborts when the lease is lost or the caller's signal aborts. Rethrows what `work` throws. */
export async function withLease<T>({ renew, log, signal }: Lease, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const lost = new AbortController();
  const renewal = setInterval(() => {
    renew().then(
      (isHeld) => isHeld || lost.abort(new Error("the lease was lost")),
      (error: unknown) => log.warn({ err: error }, "lease not renewed"),
    );
  }, renewalMs);
  try {
    return await work(AbortSignal.any([signal, lost.signal]));
  } finally {
    clearInterval(renewal);
  }
}
