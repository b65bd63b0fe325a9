/** A series and its forecast, on a chart. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { shown } from "./parts";

export interface Line {
  label: string;
  values: (number | null)[];
  kind: "history" | "forecast" | "bound";
  /** Of a bound: the share of outcomes that should fall below it. */
  level?: number;
}

interface Props {
  x: number[];
  lines: Line[];
  /** Pairs of lines, upper and lower, between which the chart is filled; the widest first. */
  bands: [number, number][];
  label: string;
}

const HEIGHT = 320;

export function Chart({ x, lines, bands, label }: Props) {
  const holder = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = holder.current!;
    let chart: uPlot | null = null;
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const draw = () => {
      chart?.destroy();
      chart = new uPlot(options(element, lines, bands), [x, ...lines.map((line) => line.values)] as uPlot.AlignedData, element);
    };
    draw();
    scheme.addEventListener("change", draw);
    const follow = new ResizeObserver(() => chart?.setSize({ width: element.clientWidth, height: HEIGHT }));
    follow.observe(element);
    return () => {
      follow.disconnect();
      scheme.removeEventListener("change", draw);
      chart?.destroy();
    };
  }, [x, lines, bands]);
  return <div ref={holder} class="chart" role="img" aria-label={label} />;
}

function options(element: HTMLElement, lines: Line[], bands: [number, number][]): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis: uPlot.Axis = {
    stroke: colour("--quiet"),
    font: "12px system-ui, sans-serif",
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  const strokes = { history: colour("--ink"), forecast: colour("--accent"), bound: "transparent" };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    scales: { x: { time: false } },
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? signed(tick) : "")) },
      { ...axis, size: 56, values: (_, ticks) => ticks.map(shown) },
    ],
    series: [
      { label: "step", value: (_, value) => (value == null ? "–" : signed(value)) },
      ...lines.map((line) => ({
        label: line.label,
        stroke: strokes[line.kind],
        width: line.kind === "bound" ? 0 : 2,
        points: { show: line.kind === "forecast", size: 5, fill: strokes.forecast },
        value: (_: uPlot, value: number | null) => (value == null ? "–" : shown(value)),
      })),
    ],
    bands: bands.map(([upper, lower]) => ({ series: [upper + 1, lower + 1], fill: colour("--band") })),
  };
}

function signed(step: number): string {
  return step > 0 ? `+${step}` : String(step);
}
