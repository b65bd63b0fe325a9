/** What the server does now, from its own metrics: rate, latency, batch size and queue of one model. */
import { useState } from "preact/hooks";
import { ask, Failure } from "./api";
import { readMetrics, type Reading, since } from "./metrics";
import { shown, useEvery } from "./parts";

const SECONDS = 2;
const KEPT = 60;
const WINDOW = 10; // readings that a figure is made of

export function LiveFigures({ model }: { model: string }) {
  const [readings, setReadings] = useState<Reading[]>([]);
  const [problem, setProblem] = useState("");
  useEvery(
    SECONDS,
    async () => {
      try {
        const text = await (await ask("metrics")).text();
        setReadings((before) => [...before, readMetrics(text, model)].slice(-KEPT));
        setProblem("");
      } catch (error) {
        setProblem(error instanceof Failure && error.status ? "The metrics are not open to this page." : "No metrics.");
      }
    },
    [model],
  );
  const figures = readings.map((_, at) => since(readings[Math.max(0, at - WINDOW)]!, readings[at]!));
  const now = figures.at(-1);
  return (
    <section aria-labelledby="live-title">
      <div class="section-head">
        <h3 id="live-title">Now</h3>
        <span class="quiet">{problem || "the last 20 seconds, of everybody's requests"}</span>
      </div>
      <dl class="tiles">
        <Tile name="Requests a second" value={now?.rate} history={figures.map((one) => one.rate)} />
        <Tile
          name="Latency, median"
          value={now?.median}
          unit="ms"
          more={now?.most === undefined ? "" : `95 % below ${shown(round(now.most))} ms`}
          history={figures.map((one) => one.median)}
        />
        <Tile name="Rows in a batch" value={now?.rows} history={figures.map((one) => one.rows)} />
        <Tile name="Waiting" value={now?.queue} history={figures.map((one) => one.queue)} />
      </dl>
    </section>
  );
}

interface TileProps {
  name: string;
  value: number | undefined;
  unit?: string;
  more?: string;
  history: (number | undefined)[];
}

function Tile({ name, value, unit, more, history }: TileProps) {
  return (
    <div class="tile panel">
      <dt>{name}</dt>
      <dd>
        <span class="figure">{value === undefined ? "–" : shown(round(value))}</span> {value !== undefined && unit}
        {more && <span class="quiet more">{more}</span>}
        <Spark values={history} />
      </dd>
    </div>
  );
}

function round(value: number): number {
  return Number(value.toPrecision(value < 10 ? 2 : 3));
}

function Spark({ values }: { values: (number | undefined)[] }) {
  const most = Math.max(...values.map((one) => one ?? 0), 1e-9);
  const points = values.map((one, at) => `${100 - (values.length - 1 - at) * (100 / (KEPT - 1))},${22 - 20 * ((one ?? 0) / most)}`);
  return (
    <svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
      <polyline points={points.join(" ")} />
    </svg>
  );
}
