/** Series as people bring them: pasted numbers or lists, and CSV files. */
import Papa from "papaparse";

/** Columns of numbers, by name. */
export interface Columns {
  names: string[];
  rows: number[][];
}

/** Reads columns of numbers out of text.
 *
 * Numbers in one line, or one a line, are one column; lines of several values are a table, whose first line may name its
 * columns. Columns that are not numbers from top to bottom, such as dates, are left out.
 *
 * Throws an Error that says where and why where there are none.
 */
export function parseColumns(text: string): Columns {
  const given = text.trim();
  if (!given) throw new Error("There is no series yet.");
  if (given.startsWith("[")) return ofJson(given);
  const table = Papa.parse<string[]>(given, { skipEmptyLines: "greedy", delimitersToGuess: [",", ";", "\t", "|", " "] });
  let lines = table.data.map((line) => line.map((cell) => cell.trim()).filter((cell, _, all) => cell || all.length > 1));
  if (lines.length === 1) lines = lines[0]!.filter((cell) => cell).flatMap((cell) => cell.split(/\s+/)).map((cell) => [cell]);
  const first = lines[0]!;
  const isNamed = lines.length > 1 && first.every((cell) => Number.isNaN(number(cell)));
  const body = isNamed ? lines.slice(1) : lines;
  const width = Math.max(...body.map((line) => line.length));
  const kept = [...Array(width).keys()].filter((at) => body.some((line) => !Number.isNaN(number(line[at] ?? ""))));
  const whole = kept.filter((at) => body.every((line) => !Number.isNaN(number(line[at] ?? ""))));
  if (!whole.length) {
    const column = kept[0] ?? 0;
    const at = body.findIndex((line) => Number.isNaN(number(line[column] ?? "")));
    throw new Error(`Line ${at + 1 + (isNamed ? 1 : 0)}: expected a number, got “${body[at]?.[column] ?? "nothing"}”.`);
  }
  return {
    names: whole.map((at) => (isNamed ? first[at]! : `column ${at + 1}`)),
    rows: body.map((line) => whole.map((at) => number(line[at]!))),
  };
}

function ofJson(text: string): Columns {
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch (error) {
    throw new Error(`This begins like a JSON list and is none: ${(error as Error).message}`);
  }
  if (!Array.isArray(values) || !values.length) throw new Error("Expected a list of numbers.");
  if (Array.isArray(values[0]) && values.length === 1) values = values[0];
  const rows = (values as unknown[]).map((one) => (Array.isArray(one) ? one : [one]));
  const at = rows.findIndex((row) => row.length !== rows[0]!.length || !row.every((one) => Number.isFinite(one)));
  if (at >= 0) throw new Error(`Item ${at + 1}: expected ${rows[0]!.length === 1 ? "a number" : "as many numbers as before"}.`);
  return { names: rows[0]!.map((_, column) => `column ${column + 1}`), rows };
}

function number(cell: string): number {
  return cell === "" ? Number.NaN : Number(cell);
}
