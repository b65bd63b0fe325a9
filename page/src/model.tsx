/** One model: its versions, the place to try it, and what is known of it. */
import { useEffect, useState } from "preact/hooks";
import type { Model, Signature, Tensor, Version } from "./api";
import { CardView } from "./card";
import { Classify } from "./classify";
import { DriftView } from "./drift";
import { Forecasting } from "./forecast";
import { Generic } from "./generic";
import { LiveFigures } from "./live";
import { Fold } from "./parts";
import { RolloutView } from "./rollout";

const STATES: Record<string, string> = {
  START: "waits to be loaded",
  LOADING: "is being loaded",
  STANDBY: "is not in memory: the first request for it loads it",
  UNLOADING: "is being unloaded",
  END: "is not served",
};

/** Returns whether a version answers, and says what it takes: one that is not in memory does if it was before. */
export function answers(version: Version): boolean {
  return version.state === "AVAILABLE" || (version.state === "STANDBY" && version.signatures.length > 0);
}

export function ModelView({ model, version }: { model: Model; version: number | undefined }) {
  const served = model.versions.filter(answers);
  const shown: Version | undefined =
    version === undefined
      ? (served[0] ?? model.versions[0])
      : model.versions.find((one) => one.version === version);
  useEffect(() => {
    document.title = `${model.name} · Tensorgate`;
  }, [model.name]);
  return (
    <>
      <section class="about" aria-labelledby="model-name">
        <h2 id="model-name">{model.name}</h2>
        {shown && <p class="quiet">{described(shown)}</p>}
        {model.problem && <p class="problem">{model.problem}</p>}
        <ul class="versions" aria-label="Versions">
          {model.versions.map((one) => (
            <li key={one.version}>
              <a
                href={`#${encodeURIComponent(model.name)}@${one.version}`}
                aria-current={one === shown ? "true" : undefined}
                title={one.error}
              >
                <span class={`dot ${one.state}`} aria-hidden="true" />
                version {one.version}
                <span class="quiet">{one.state.toLowerCase()}</span>
                {labelsOf(model, one).map((label) => (
                  <span class="label" key={label}>
                    {label}
                  </span>
                ))}
              </a>
            </li>
          ))}
        </ul>
      </section>
      <RolloutView key={model.name} model={model.name} />
      {!shown && version !== undefined && (
        <p class="problem" role="alert">
          There is no version {version} of {model.name}.
        </p>
      )}
      {shown && !answers(shown) && (
        <p class="problem" role="status">
          Version {shown.version} {STATES[shown.state] ?? shown.state}
          {shown.error ? `: ${shown.error}` : "."}
        </p>
      )}
      {shown && answers(shown) && (
        <div key={shown.version} class="stack">
          <Try model={model.name} version={shown} />
          <LiveFigures model={model.name} />
          <Fold title="Model card">{() => <CardView model={model.name} version={shown.version} />}</Fold>
          <Fold title="Drift">{() => <DriftView model={model.name} version={shown.version} />}</Fold>
          <Fold title="Signatures and batching">{() => <Signatures signatures={shown.signatures} />}</Fold>
        </div>
      )}
    </>
  );
}

function Try({ model, version }: { model: string; version: Version }) {
  const own = version.image_classifier
    ? { name: "Pictures", view: <Classify model={model} version={version.version} task={version.image_classifier} /> }
    : version.forecaster
      ? { name: "Series", view: <Forecasting model={model} version={version.version} task={version.forecaster} /> }
      : null;
  const [form, setForm] = useState(own === null);
  const generic = <Generic model={model} version={version.version} signatures={version.signatures} />;
  return (
    <section aria-labelledby="try-title" class="stack">
      <div class="section-head">
        <h3 id="try-title">Try it</h3>
        {own && (
          <div class="choice" role="group" aria-label="How to try it">
            <button aria-pressed={!form} onClick={() => setForm(false)}>
              {own.name}
            </button>
            <button aria-pressed={form} onClick={() => setForm(true)}>
              Tensors
            </button>
          </div>
        )}
      </div>
      {form || !own ? generic : own.view}
    </section>
  );
}

function labelsOf(model: Model, version: Version): string[] {
  return Object.keys(model.labels).filter((label) => model.labels[label] === version.version);
}

function described(version: Version): string {
  const { image_classifier: pictures, forecaster } = version;
  if (pictures) {
    const colours = pictures.channels === 1 ? "grey" : "colour";
    return `Puts a picture, ${pictures.width} × ${pictures.height} and ${colours}, into one of ${pictures.labels.length} classes.`;
  }
  if (forecaster) {
    const of = forecaster.features === 1 ? "values" : `steps of ${forecaster.features} values`;
    return `Forecasts the next ${forecaster.horizon} values of a series from its last ${forecaster.window} ${of}.`;
  }
  const count = version.signatures.length;
  if (count === 1) return "Has one signature, which takes and gives tensors.";
  return count ? `Has ${count} signatures that take and give tensors.` : "";
}

function Signatures({ signatures }: { signatures: Signature[] }) {
  return (
    <div class="scroll" role="group" aria-label="Signatures" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th>Signature</th>
            <th>Takes</th>
            <th>Gives</th>
            <th>Requests are merged</th>
          </tr>
        </thead>
        <tbody>
          {signatures.map((one) => (
            <tr key={one.name}>
              <th scope="row">
                <code>{one.name}</code>
              </th>
              <td>{one.inputs.map(tensor)}</td>
              <td>{one.outputs.map(tensor)}</td>
              <td>{one.batched ? "yes" : `no: ${one.unbatched_reason}`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function tensor(one: Tensor) {
  return (
    <div key={one.name}>
      <code>{one.name}</code> <span class="quiet">{typeOf(one)}</span>
    </div>
  );
}

/** Returns dtype and shape of a tensor as they are usually written. */
export function typeOf(one: Tensor): string {
  const shape = one.shape ? `[${one.shape.map((size) => (size < 0 ? "?" : size)).join(", ")}]` : "of any shape";
  return `${one.dtype} ${shape}`;
}
