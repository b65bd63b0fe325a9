/** How far what a version is asked and answers is from what it was when it was trained. */
import { useState } from "preact/hooks";
import { askJson, type Drift, Failure, modelPath, type Statistic } from "./api";
import { Problem, shown, useEvery } from "./parts";

const SECONDS = 5;
const MOST = 0.5; // of the scale; what is beyond fills it
const MARKS = [0.1, 0.25]; // where shifting and drifted begin

export function DriftView({ model, version }: { model: string; version: number }) {
  const [drift, setDrift] = useState<Drift | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  useEvery(
    SECONDS,
    async () => {
      try {
        setDrift(await askJson<Drift>(modelPath(model, `/drift?version=${version}`)));
        setFailure(null);
      } catch (error) {
        setFailure(error as Failure);
      }
    },
    [],
  );
  if (failure) return <Problem failure={failure} />;
  if (!drift) return <p class="quiet">…</p>;
  if (!drift.watched) return <p class="quiet">Drift is not watched: {drift.unwatched_reason}.</p>;
  const groups = new Map<string, Statistic[]>();
  for (const one of drift.statistics) {
    const name = `${one.signature} · ${one.side} ${one.tensor}`;
    groups.set(name, [...(groups.get(name) ?? []), one]);
  }
  return (
    <>
      <p class="quiet">
        Population stability index of what is asked and answered, against {drift.reference || "the data of the training"}:
        from {MARKS[0]} on it shifts, from {MARKS[1]} on it has drifted.
      </p>
      {[...groups].map(([name, statistics]) => (
        <div key={name}>
          <h4>{name}</h4>
          <ul class="bars drift">
            {statistics.map((one) => (
              <li key={one.statistic} class={one.verdict}>
                <span class="bar-name">{one.statistic}</span>
                <span class="bar-track" aria-hidden="true">
                  <span class="bar" style={{ width: `${Math.min(1, (one.psi ?? 0) / MOST) * 100}%` }} />
                  {MARKS.map((mark) => (
                    <span key={mark} class="bar-mark" style={{ left: `${(mark / MOST) * 100}%` }} />
                  ))}
                </span>
                <span class="bar-value">{one.psi === undefined ? "–" : one.psi.toFixed(3)}</span>
                <span class="bar-note quiet">
                  {one.verdict.replaceAll("_", " ")}, {shown(Math.round(one.rows))} rows
                </span>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </>
  );
}
