/** How the rollout of a new version stands, where there is one. */
import { useState } from "preact/hooks";
import { askJson, Failure, modelPath, type Rollout } from "./api";
import { shown, useEvery } from "./parts";

const SECONDS = 5;
const PERCENT = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 2 });

export function RolloutView({ model }: { model: string }) {
  const [rollout, setRollout] = useState<Rollout | null>(null);
  useEvery(
    SECONDS,
    async () => {
      try {
        setRollout(await askJson<Rollout>(modelPath(model, "/rollout")));
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        setRollout(null); // who may not read of it is not bothered with it
      }
    },
    [model],
  );
  if (!rollout || rollout.phase === "none") return null;
  const canary = rollout.canary_version;
  return (
    <section class="panel stack" aria-labelledby="rollout-title">
      <h3 id="rollout-title">Rollout of version {canary}</h3>
      <p>
        <strong>{rollout.phase.replaceAll("_", " ")}</strong>, step {rollout.step} of {rollout.step_weights.length} (
        {rollout.step_weights.map((weight) => `${weight} %`).join(", ")}), of the requests{" "}
        {rollout.label ? `for the label ${rollout.label}` : "that name no version"}
      </p>
      {rollout.waits && <p class="quiet">Waits for {rollout.waits}.</p>}
      {rollout.reason && (
        <p class="problem" role="status">
          Taken back ({rollout.reason}): {rollout.message}
        </p>
      )}
      <div class="scroll" role="group" aria-label="Versions of the rollout" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th>Version</th>
              <th>Share</th>
              <th>Runs since the step began</th>
              <th>Failed</th>
              <th>99 % within</th>
            </tr>
          </thead>
          <tbody>
            {rollout.versions.map((one) => (
              <tr key={one.version}>
                <th scope="row">
                  {one.version}, {one.version === canary ? "canary" : "stable"}
                </th>
                <td>{one.version === canary ? rollout.canary_weight : 100 - rollout.canary_weight} %</td>
                <td>{shown(one.requests)}</td>
                <td>{PERCENT.format(one.error_rate)}</td>
                <td>{one.requests ? `${shown(one.p99_seconds * 1000)} ms` : "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
