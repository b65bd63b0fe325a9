/** The page at /: which models there are, and a place to try each. */
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { askJson, Failure, key, type Model, setKey } from "./api";
import { answers, ModelView } from "./model";
import { Problem, useEvery } from "./parts";

const UNAUTHENTICATED = 401;
const POLL_SECONDS = 10;

function Page() {
  const [models, setModels] = useState<Model[] | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [chosen, setChosen] = useState(location.hash);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const follow = () => setChosen(location.hash);
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  useEvery(
    POLL_SECONDS,
    async () => {
      try {
        setModels((await askJson<{ models: Model[] }>("api/v1/models")).models);
        setFailure(null);
      } catch (error) {
        setFailure(error as Failure);
      }
    },
    [attempt],
  );
  const [wanted, version] = chosen.slice(1).split("@");
  const name = decoded(wanted);
  const model = name ? models?.find((one) => one.name === name) : models?.[0];
  const needsKey = failure?.status === UNAUTHENTICATED || key() !== "";
  return (
    <>
      <a class="skip" href="#main" onClick={toMain}>
        Skip to the model
      </a>
      <header class="top">
        <h1>
          <Mark /> Tensorgate
        </h1>
        <nav aria-label="Server">
          <a href="docs">API reference</a>
          <a href="metrics">Metrics</a>
        </nav>
      </header>
      {needsKey && <KeyForm wrong={failure?.status === UNAUTHENTICATED} onKey={() => setAttempt(attempt + 1)} />}
      {failure && failure.status !== UNAUTHENTICATED && <Problem failure={failure} />}
      {models && (
        <div class="columns">
          <nav class="models" aria-label="Models">
            <h2>Models</h2>
            <ul>
              {models.map((one) => (
                <li key={one.name}>
                  <ModelLink model={one} current={one === model} />
                </li>
              ))}
            </ul>
          </nav>
          <main id="main" tabIndex={-1}>
            {model ? (
              <ModelView key={model.name} model={model} version={version ? Number(version) : undefined} />
            ) : name ? (
              <p class="problem" role="alert">
                There is no model {name}.
              </p>
            ) : (
              <p class="panel">No model is served yet. What lies in the models folder appears here by itself.</p>
            )}
          </main>
        </div>
      )}
      {!models && !failure && <p class="quiet wait">Asking for the models …</p>}
      <footer class="quiet">
        <a href="page/NOTICE.txt">Licences of what this page is made of</a>
      </footer>
    </>
  );
}

function toMain(event: Event): void {
  event.preventDefault(); // the address names the model
  document.getElementById("main")?.focus();
}

function decoded(name = ""): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 24 24" aria-hidden="true">
      <path d="M4 21V9a8 8 0 0 1 16 0v12M9 21v-9a3 3 0 0 1 6 0v9" />
    </svg>
  );
}

const KINDS: Record<string, string> = {
  image_classifier: "image classifier",
  forecaster: "forecaster",
  generic: "model",
};

function ModelLink({ model, current }: { model: Model; current: boolean }) {
  const best = model.versions.find(answers);
  const state = best?.state ?? model.versions[0]?.state ?? "END";
  return (
    <a href={`#${encodeURIComponent(model.name)}`} aria-current={current ? "page" : undefined}>
      <span class={`dot ${state}`} aria-hidden="true" />
      <span class="name">{model.name}</span>
      <span class="quiet">{best ? (KINDS[best.kind] ?? "model") : state.toLowerCase()}</span>
    </a>
  );
}

function KeyForm({ wrong, onKey }: { wrong: boolean; onKey: () => void }) {
  const [value, setValue] = useState(key());
  function save(event: Event): void {
    event.preventDefault();
    setKey(value.trim());
    onKey();
  }
  return (
    <form class="key panel" onSubmit={save}>
      <label for="key">Key</label>
      <input
        id="key"
        type="password"
        autocomplete="off"
        value={value}
        onInput={(event) => setValue(event.currentTarget.value)}
        aria-describedby="key-help"
      />
      <button>Use it</button>
      <p id="key-help" class="quiet" role={wrong ? "alert" : undefined}>
        {wrong && key() ? "The server does not accept this key. " : "This server answers those who show a key. "}
        It is kept until this tab is closed.
      </p>
    </form>
  );
}

render(<Page />, document.getElementById("page")!);
