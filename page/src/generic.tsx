/** Any model: a form made of a signature, and the tensors that it gives. */
import { useMemo, useState } from "preact/hooks";
import { askJson, type Signature } from "./api";
import { Code } from "./code";
import { typeOf } from "./model";
import { Problem, useAsking } from "./parts";
import { predictSnippets } from "./snippets";
import { exampleOf, parseValue } from "./tensors";

interface Props {
  model: string;
  version: number;
  signatures: Signature[];
}

export function Generic({ model, version, signatures }: Props) {
  const first = signatures.findIndex((one) => one.name === "serving_default");
  const [chosen, setChosen] = useState(Math.max(first, 0));
  const signature = signatures[chosen];
  if (!signature) return <p class="panel">This version has no signature that can be asked.</p>;
  return (
    <>
      {signatures.length > 1 && (
        <p class="field">
          <label for="signature">Signature</label>
          <select id="signature" value={chosen} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
            {signatures.map((one, at) => (
              <option key={one.name} value={at}>
                {one.name}
              </option>
            ))}
          </select>
        </p>
      )}
      <Form key={signature.name} model={model} version={version} signature={signature} />
    </>
  );
}

function Form({ model, version, signature }: { model: string; version: number; signature: Signature }) {
  const [texts, setTexts] = useState<Record<string, string>>(() =>
    Object.fromEntries(signature.inputs.map((one) => [one.name, exampleOf(one)])),
  );
  const asking = useAsking<{ outputs: unknown }>();
  const { inputs, problems } = useMemo(() => read(texts), [texts]);
  const said = asking.failure?.message ?? "";
  const blamed = signature.inputs.filter((one) => said.includes(`inputs.${one.name}`) || said.includes(`'${one.name}'`));

  function send(event: Event): void {
    event.preventDefault();
    if (!inputs) return;
    const path = `v1/models/${encodeURIComponent(model)}/versions/${version}:predict`;
    const body = { signature_name: signature.name, inputs };
    void asking.run((signal) => askJson(path, body, signal));
  }
  return (
    <>
      <form class="two panel" onSubmit={send} noValidate>
        <div>
          {signature.inputs.map((one) => {
            const wrong = problems[one.name] ?? (blamed.includes(one) ? said : "");
            return (
              <p class="field" key={one.name}>
                <label for={`input-${one.name}`}>
                  {one.name} <span class="quiet">{typeOf(one)}</span>
                </label>
                <textarea
                  id={`input-${one.name}`}
                  rows={Math.min(8, Math.max(2, texts[one.name]!.split("\n").length))}
                  spellcheck={false}
                  value={texts[one.name]}
                  aria-invalid={wrong ? "true" : undefined}
                  aria-describedby={`problem-${one.name}`}
                  onInput={(event) => setTexts({ ...texts, [one.name]: event.currentTarget.value })}
                />
                <span id={`problem-${one.name}`} class="field-problem" role="alert">
                  {wrong}
                </span>
              </p>
            );
          })}
          <div class="row">
            <button class="primary" disabled={!inputs || asking.busy}>
              Run it
            </button>
            <span class="quiet">Values are JSON: a number, a list, a list of lists.</span>
          </div>
        </div>
        <div class="result">
          {asking.failure && !blamed.length && <Problem failure={asking.failure} />}
          <div role="status" aria-live="polite" aria-busy={asking.busy}>
            {asking.answer ? (
              <Outputs signature={signature} outputs={asking.answer.outputs} />
            ) : (
              <p class="quiet">What it gives appears here.</p>
            )}
          </div>
        </div>
      </form>
      <Code snippets={predictSnippets(model, version, signature, inputs)} />
    </>
  );
}

function read(texts: Record<string, string>): {
  inputs: Record<string, unknown> | null;
  problems: Record<string, string>;
} {
  const inputs: Record<string, unknown> = {};
  const problems: Record<string, string> = {};
  for (const [name, text] of Object.entries(texts)) {
    try {
      inputs[name] = parseValue(text);
    } catch (error) {
      problems[name] = (error as Error).message;
    }
  }
  return { inputs: Object.keys(problems).length ? null : inputs, problems };
}

/** Several outputs come by name, a single one as it is. */
function Outputs({ signature, outputs }: { signature: Signature; outputs: unknown }) {
  const [only] = signature.outputs;
  const byName = signature.outputs.length === 1 && only ? { [only.name]: outputs } : (outputs as Record<string, unknown>);
  return (
    <>
      {signature.outputs
        .filter((one) => one.name in byName)
        .map((one) => (
          <div class="output" key={one.name}>
            <h4>
              {one.name} <span class="quiet">{typeOf(one)}</span>
            </h4>
            <pre tabIndex={0}>{lines(byName[one.name])}</pre>
          </div>
        ))}
    </>
  );
}

/** Returns a tensor as text, a row a line. */
function lines(value: unknown): string {
  if (!Array.isArray(value)) return JSON.stringify(value);
  return `[${value.map((row) => JSON.stringify(row)).join(",\n ")}]`;
}
