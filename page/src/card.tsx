/** A version's model card: its text, its plots and its figures. */
import { useEffect, useRef } from "preact/hooks";
import { micromark } from "micromark";
import { gfmTable, gfmTableHtml } from "micromark-extension-gfm-table";
import { ask, askJson, type Card, modelPath } from "./api";
import { Problem, shown, useAsking } from "./parts";

const MANY = 200; // figures that are shown at most

export function CardView({ model, version }: { model: string; version: number }) {
  const asking = useAsking<Card>();
  useEffect(() => {
    void asking.run((signal) => askJson<Card>(modelPath(model, `/card?version=${version}`), undefined, signal));
  }, []);
  if (asking.failure) return <Problem failure={asking.failure} />;
  if (!asking.answer) return <p class="quiet">…</p>;
  const { card, plots, metrics } = asking.answer;
  const figures = flattened(metrics).slice(0, MANY);
  if (!card && !plots.length && !figures.length)
    return <p class="quiet">This version has no model card, or this server has none of its files.</p>;
  return (
    <>
      <Text card={card} plots={plots.map((one) => one.name)} pathOf={(plot) => plotPath(model, version, plot)} />
      {figures.length > 0 && (
        <details>
          <summary>All figures</summary>
          <div class="scroll" role="group" aria-label="Figures" tabIndex={0}>
            <table class="numbers">
              <tbody>
                {figures.map(([name, value]) => (
                  <tr key={name}>
                    <th scope="row">{name}</th>
                    <td>{shown(value)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </details>
      )}
    </>
  );
}

function plotPath(model: string, version: number, plot: string): string {
  return modelPath(model, `/card/${encodeURIComponent(plot)}?version=${version}`);
}

/** The text with its plots where it names them, and the others below it. They are fetched, as that may need the key. */
function Text({ card, plots, pathOf }: { card: string; plots: string[]; pathOf: (plot: string) => string }) {
  const holder = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // HTML within the text is shown as text, and addresses of other kinds than the web's are left out.
    const html = micromark(card, { extensions: [gfmTable()], htmlExtensions: [gfmTableHtml()] });
    const made = new DOMParser().parseFromString(html, "text/html");
    const named = [...made.images].map((image) => image.getAttribute("src") ?? "");
    for (const plot of plots.filter((one) => !named.includes(one))) {
      const image = made.createElement("img");
      image.setAttribute("src", plot);
      image.alt = plot;
      made.body.append(image);
    }
    for (const heading of made.querySelectorAll("h1, h2, h3")) {
      const smaller = made.createElement("h4");
      smaller.append(...heading.childNodes);
      heading.replaceWith(smaller);
    }
    for (const table of made.querySelectorAll("table")) {
      const scroll = made.createElement("div");
      scroll.className = "scroll";
      scroll.tabIndex = 0;
      scroll.setAttribute("role", "group");
      scroll.setAttribute("aria-label", "Table");
      table.replaceWith(scroll);
      scroll.append(table);
    }
    const urls: string[] = [];
    let isGone = false;
    for (const image of [...made.images]) {
      const plot = image.getAttribute("src") ?? "";
      image.removeAttribute("src");
      if (!plots.includes(plot)) {
        image.replaceWith(image.alt);
        continue;
      }
      void ask(pathOf(plot))
        .then((response) => response.blob())
        .then((data) => {
          if (isGone) return;
          image.src = URL.createObjectURL(data);
          urls.push(image.src);
        })
        .catch(() => image.replaceWith(`${image.alt}: cannot be shown`));
    }
    holder.current!.replaceChildren(...made.body.childNodes);
    return () => {
      isGone = true;
      urls.forEach((url) => URL.revokeObjectURL(url));
    };
  }, [card]);
  return <div ref={holder} class="card" />;
}

/** Returns the numbers of figures within figures, each by the way to it. */
function flattened(figures: unknown, way = ""): [string, number][] {
  if (typeof figures === "number") return [[way, figures]];
  if (figures === null || typeof figures !== "object" || Array.isArray(figures)) return [];
  return Object.entries(figures).flatMap(([name, value]) => flattened(value, way ? `${way} · ${name}` : name));
}
