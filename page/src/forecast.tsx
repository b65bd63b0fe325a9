/** A forecaster: paste, upload or choose a series, and see how it goes on, with its intervals. */
import { useEffect, useMemo, useState } from "preact/hooks";
import sunspots from "../../examples/sunspots.csv";
import { askJson, type Forecast, type Forecaster, modelPath } from "./api";
import { Chart, type Line } from "./chart";
import { Code } from "./code";
import { Problem, shown, useAsking } from "./parts";
import { type Columns, parseColumns } from "./series";
import { forecastSnippets } from "./snippets";

const PAST = 4; // times the horizon, that is how much of the past the chart shows at least

interface Props {
  model: string;
  version: number;
  task: Forecaster;
}

const EXAMPLES: { name: string; text: (task: Forecaster) => string }[] = [
  { name: "Sunspots", text: (task) => (task.features === 1 ? sunspots : made(task, (step) => 80 + 60 * wave(step, 11))) },
  { name: "A wave", text: (task) => made(task, (step) => 60 + 50 * wave(step, 12)) },
  { name: "A wave that grows", text: (task) => made(task, (step) => 20 + step + (10 + step / 4) * wave(step, 10)) },
];

function wave(step: number, period: number): number {
  return Math.sin((2 * Math.PI * step) / period);
}

function made(task: Forecaster, value: (step: number) => number): string {
  const rows = Array.from({ length: 2 * task.window }, (_, step) => Array(task.features).fill(value(step).toFixed(1)).join(","));
  return rows.join("\n");
}

export function Forecasting({ model, version, task }: Props) {
  const [text, setText] = useState(() => EXAMPLES[0]!.text(task));
  const [horizon, setHorizon] = useState(task.horizon);
  const [column, setColumn] = useState<number | null>(null);
  const asking = useAsking<{ sent: number[]; answer: Forecast }>();
  const [columns, problem] = useMemo(() => parsed(text, task), [text]);
  const last = (columns?.names.length ?? 1) - 1; // as the first is often a time
  const at = Math.min(column ?? last, last);
  const series = useMemo(
    () => columns && (task.features === 1 ? columns.rows.map((row) => row[at]!) : columns.rows),
    [columns, at],
  );
  useEffect(() => {
    if (!series) {
      asking.clear();
      return;
    }
    const timer = setTimeout(() => {
      const sent = (series as (number | number[])[]).map((one) => (Array.isArray(one) ? one[0]! : one));
      const body = { version, series: [series], horizon };
      const path = modelPath(model, "/forecast");
      void asking.run(async (signal) => ({ sent, answer: await askJson<Forecast>(path, body, signal) }));
    }, 120);
    return () => clearTimeout(timer);
  }, [series, horizon]);

  const ofSeries = asking.failure?.errors.find((one) => one.where.startsWith("series"));
  const wrong = problem ?? (ofSeries && `${ofSeries.where}: expected ${ofSeries.expected}, got ${ofSeries.got}`);
  return (
    <>
      <div class="two panel wide-right">
        <div>
          <label for="series">Series, the newest value last</label>
          <textarea
            id="series"
            rows={8}
            spellcheck={false}
            value={text}
            aria-invalid={wrong ? "true" : undefined}
            aria-describedby="series-help series-problem"
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <p id="series-help" class="quiet">
            Numbers, a JSON list or CSV; at least {task.window} steps{task.features > 1 ? ` of ${task.features} values` : ""}.
          </p>
          <p id="series-problem" class="field-problem" role="alert">
            {wrong}
          </p>
          <div class="row" role="group" aria-label="Other series">
            <label class="button">
              CSV file …
              <input
                type="file"
                class="hidden"
                accept=".csv,.txt,.tsv,.json,text/*"
                onChange={async (event) => {
                  const file = event.currentTarget.files?.[0];
                  if (file) setText(await file.text());
                }}
              />
            </label>
            {EXAMPLES.map((one) => (
              <button key={one.name} onClick={() => setText(one.text(task))}>
                {one.name}
              </button>
            ))}
          </div>
          {task.features === 1 && columns && columns.names.length > 1 && (
            <p class="field">
              <label for="column">Column</label>
              <select id="column" value={at} onChange={(event) => setColumn(Number(event.currentTarget.value))}>
                {columns.names.map((name, index) => (
                  <option key={name} value={index}>
                    {name}
                  </option>
                ))}
              </select>
            </p>
          )}
          <p class="field">
            <label for="horizon">
              Horizon: <output>{horizon}</output> step{horizon === 1 ? "" : "s"}
            </label>
            <input
              id="horizon"
              type="range"
              min={1}
              max={task.horizon}
              value={horizon}
              onInput={(event) => setHorizon(Number(event.currentTarget.value))}
            />
          </p>
        </div>
        <div class="result">
          {asking.failure && !ofSeries && <Problem failure={asking.failure} />}
          {asking.answer ? (
            <Answer history={asking.answer.sent} answer={asking.answer.answer} window={task.window} />
          ) : (
            !asking.failure && <p class="quiet">{wrong ? "There is nothing to forecast yet." : "…"}</p>
          )}
        </div>
      </div>
      <Code snippets={forecastSnippets(model, version, series, horizon)} />
    </>
  );
}

function parsed(text: string, task: Forecaster): [Columns | null, string | null] {
  try {
    const columns = parseColumns(text);
    if (columns.names.length < task.features)
      return [null, `Expected ${task.features} columns of numbers, got ${columns.names.length}.`];
    if (task.features === 1) return [columns, null];
    // The last columns of a table are its values, the first often a time.
    const values = columns.rows.map((row) => row.slice(-task.features));
    return [{ names: columns.names.slice(-task.features), rows: values }, null];
  } catch (error) {
    return [null, (error as Error).message];
  }
}

function Answer({ history, answer, window }: { history: number[]; answer: Forecast; window: number }) {
  const { values, quantiles } = answer.forecasts[0]!;
  const { x, lines, bands } = useMemo(() => drawn(history, answer, window), [answer]);
  const last = values.length;
  const shares = bands.map(([upper, lower]) => percentBetween(lines[upper]!, lines[lower]!));
  return (
    <>
      <Chart
        x={x}
        lines={lines}
        bands={bands}
        label={`The series and its forecast: ${shown(values[0]!)} next, ${shown(values.at(-1)!)} in ${last} steps`}
      />
      {shares.length > 0 && (
        <p class="key-to-shades quiet">
          <span class="swatch" aria-hidden="true" /> {shares.join(" and ")} of outcomes should fall into the shaded range
          {shares.length > 1 ? "s" : ""}.
        </p>
      )}
      <p class="sr" role="status">
        The next value is {shown(values[0]!)}, the one in {last} steps {shown(values.at(-1)!)}.
      </p>
      <details>
        <summary>As a table</summary>
        <div class="scroll" role="group" aria-label="The forecast in numbers" tabIndex={0}>
          <table class="numbers">
            <thead>
              <tr>
                <th>Step</th>
                <th>Forecast</th>
                {quantiles.map((one) => (
                  <th key={one.level}>{share(one.level)}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {values.map((value, step) => (
                <tr key={step}>
                  <th scope="row">+{step + 1}</th>
                  <td>{shown(value)}</td>
                  {quantiles.map((one) => (
                    <td key={one.level}>{shown(one.values[step]!)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </>
  );
}

function drawn(history: number[], answer: Forecast, window: number): { x: number[]; lines: Line[]; bands: [number, number][] } {
  const { values, quantiles } = answer.forecasts[0]!;
  const past = history.slice(-Math.max(PAST * values.length, window));
  const now = past.at(-1)!;
  const x = [...past.map((_, at) => at - past.length + 1), ...values.map((_, at) => at + 1)];
  const before = Array<null>(past.length - 1).fill(null);
  const lines: Line[] = [
    { label: "series", values: [...past, ...values.map(() => null)], kind: "history" },
    { label: "forecast", values: [...before, now, ...values], kind: "forecast" },
  ];
  const bands: [number, number][] = [];
  for (let low = 0, high = quantiles.length - 1; low < high; low++, high--) {
    for (const one of [quantiles[high]!, quantiles[low]!])
      lines.push({ label: share(one.level), values: [...before, now, ...one.values], kind: "bound", level: one.level });
    bands.push([lines.length - 2, lines.length - 1]);
  }
  return { x, lines, bands };
}

function percentBetween(upper: Line, lower: Line): string {
  return share((upper.level ?? 1) - (lower.level ?? 0));
}

function share(level: number): string {
  return `${shown(level * 100)} %`;
}
