// Work under a lease in the ledger: renewed while it goes on, broken off as soon as it is lost. A dead holder's lease ends within
// the minute that every lease may last.

import type { Logger } from "@actions-archive/core/logger";

export const leaseSeconds = 45;
const renewalMs = 15_000;

export type Lease = {
  /** Takes the lease for another `leaseSeconds`; false when it is lost. */
  readonly renew: () => Promise<boolean>;
  readonly log: Logger;
  readonly signal: AbortSignal;
};

/** Does `work`, whose signal aborts with the lease's or the caller's; what it throws is thrown. */
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
