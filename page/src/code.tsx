/** A request as code, ready to be copied. */
import { useState } from "preact/hooks";
import type { Snippet } from "./snippets";

export function Code({ snippets }: { snippets: Snippet[] | null }) {
  const [chosen, setChosen] = useState(0);
  const [copied, setCopied] = useState(false);
  if (!snippets) return null;
  const snippet = snippets[chosen] ?? snippets[0]!;
  function move(event: KeyboardEvent): void {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (chosen + step + snippets!.length) % snippets!.length;
    setChosen(next);
    document.getElementById(`tab-${next}`)?.focus();
  }
  async function copy(): Promise<void> {
    await navigator.clipboard.writeText(snippet.code);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  }
  return (
    <div class="code panel">
      <div class="section-head">
        <div class="tabs" role="tablist" aria-label="The same request as code" onKeyDown={move}>
          {snippets.map((one, at) => (
            <button
              key={one.name}
              id={`tab-${at}`}
              role="tab"
              aria-selected={at === chosen}
              aria-controls="snippet"
              tabIndex={at === chosen ? 0 : -1}
              onClick={() => setChosen(at)}
            >
              {one.name}
            </button>
          ))}
        </div>
        {navigator.clipboard && <button onClick={() => void copy()}>{copied ? "Copied" : "Copy"}</button>}
      </div>
      <pre id="snippet" role="tabpanel" tabIndex={0} aria-labelledby={`tab-${chosen}`}>
        {snippet.code}
      </pre>
    </div>
  );
}
