/** The scores of the classes as bars, and the best in words. */

interface Props {
  labels: string[];
  classes: { label: string; score: number }[];
  busy: boolean;
}

export function Scores({ labels, classes, busy }: Props) {
  const best = classes[0];
  const scores = new Map(classes.map((one) => [one.label, one.score]));
  return (
    <>
      <p class="verdict" role="status" aria-live="polite" aria-busy={busy}>
        {best ? (
          <>
            <strong class={best.label.length > 3 ? "long" : ""}>{best.label}</strong>{" "}
            <span>{percent(best.score)}</span>
          </>
        ) : (
          <span class="quiet">The scores appear here.</span>
        )}
      </p>
      <ol class="bars" aria-label="Scores of the classes">
        {labels.map((label) => {
          const score = scores.get(label) ?? 0;
          return (
            <li key={label} class={label === best?.label ? "best" : ""}>
              <span class="bar-name">{label}</span>
              <span class="bar-track" aria-hidden="true">
                <span class="bar" style={{ width: `${(score * 100).toFixed(2)}%` }} />
              </span>
              <span class="bar-value">{classes.length ? percent(score) : "–"}</span>
            </li>
          );
        })}
      </ol>
    </>
  );
}

function percent(score: number): string {
  return `${(score * 100).toFixed(1)} %`;
}
