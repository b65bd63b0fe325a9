/** Small parts that several sections have in common. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Failure } from "./api";

/** What went wrong with a request, where its answer would be. */
export function Problem({ failure }: { failure: Failure }) {
  return (
    <div class="problem" role="alert">
      <p>
        <strong>{failure.status ? `${failure.code || failure.status}` : "No answer"}</strong> {failure.message}
      </p>
      {failure.errors.length > 1 && (
        <ul>
          {failure.errors.map((one) => (
            <li key={one.where + one.got}>
              <code>{one.where || "body"}</code>: expected {one.expected}, got {one.got}
            </li>
          ))}
        </ul>
      )}
      {failure.requestId && <p class="quiet">Request {failure.requestId}</p>}
    </div>
  );
}

/** A part of the page that is loaded and shown once it is opened. */
export function Fold({ title, children }: { title: string; children: () => ComponentChildren }) {
  const [open, setOpen] = useState(false);
  return (
    <details class="fold panel" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <h3>{title}</h3>
      </summary>
      {open && <div class="fold-body">{children()}</div>}
    </details>
  );
}

/** Runs something now and every so many seconds, while the page is looked at. */
export function useEvery(seconds: number, run: () => void, depends: unknown[]): void {
  const latest = useRef(run);
  latest.current = run;
  useEffect(() => {
    latest.current();
    const timer = setInterval(() => {
      if (!document.hidden) latest.current();
    }, seconds * 1000);
    return () => clearInterval(timer);
  }, depends);
}

/** Returns what makes requests of which only the newest counts, and the failure of the last one. */
export function useAsking<T>(): {
  answer: T | null;
  failure: Failure | null;
  busy: boolean;
  run: (request: (signal: AbortSignal) => Promise<T>) => Promise<void>;
  clear: () => void;
} {
  const [answer, setAnswer] = useState<T | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const current = useRef<AbortController | null>(null);
  useEffect(() => () => current.current?.abort(), []);
  async function run(request: (signal: AbortSignal) => Promise<T>): Promise<void> {
    current.current?.abort();
    const mine = new AbortController();
    current.current = mine;
    setBusy(true);
    try {
      const result = await request(mine.signal);
      if (mine.signal.aborted) return;
      setAnswer(result);
      setFailure(null);
    } catch (error) {
      if (mine.signal.aborted) return;
      setAnswer(null);
      setFailure(error instanceof Failure ? error : new Failure(String((error as Error).message)));
    }
    setBusy(false);
  }
  function clear(): void {
    current.current?.abort();
    setAnswer(null);
    setFailure(null);
    setBusy(false);
  }
  return { answer, failure, busy, run, clear };
}

const NUMBER = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });

/** Returns a number as people read it. */
export function shown(value: number): string {
  return NUMBER.format(value);
}
