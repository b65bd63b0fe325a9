/** Tensors as a form has them: text that is JSON, and what a signature says of them. */
import type { Signature, Tensor } from "./api";

const ROW = 1; // in place of an unknown size
const LARGE = 256; // elements that an example has at most

/** Returns an example for a tensor, as text. */
export function exampleOf(tensor: Tensor): string {
  const shape = (tensor.shape ?? [1]).map((size) => (size < 0 ? ROW : size));
  const count = shape.reduce((a, b) => a * b, 1);
  const value = tensor.dtype === "string" ? "text" : tensor.dtype === "bool" ? false : 0;
  const built = shape.reduceRight<unknown>((inner, size) => Array(size).fill(inner), value);
  const text = JSON.stringify(built);
  return count > LARGE ? text : text.replaceAll("],[", "],\n [");
}

/** Reads what stands in a field. Throws an Error that says what is wrong with it. */
export function parseValue(text: string): unknown {
  if (!text.trim()) throw new Error("Expected a value, a list or a list of lists, as JSON.");
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`This is no JSON: ${(error as Error).message}`);
  }
}

const FIELDS: Record<string, [string, string]> = {
  float32: ["DT_FLOAT", "float_val"],
  float64: ["DT_DOUBLE", "double_val"],
  int8: ["DT_INT8", "int_val"],
  int16: ["DT_INT16", "int_val"],
  int32: ["DT_INT32", "int_val"],
  uint8: ["DT_UINT8", "int_val"],
  uint16: ["DT_UINT16", "int_val"],
  int64: ["DT_INT64", "int64_val"],
  uint32: ["DT_UINT32", "uint32_val"],
  uint64: ["DT_UINT64", "uint64_val"],
  bool: ["DT_BOOL", "bool_val"],
  string: ["DT_STRING", "string_val"],
};

/** Returns tensors as TensorProto has them in JSON; those that cannot be said so are left out. */
export function protoInputs(signature: Signature, inputs: Record<string, unknown>): Record<string, unknown> {
  const made: Record<string, unknown> = {};
  for (const { name, dtype } of signature.inputs) {
    const names = FIELDS[dtype];
    if (!names || !(name in inputs)) continue;
    const values = [inputs[name]].flat(Number.POSITIVE_INFINITY as 1);
    made[name] = {
      dtype: names[0],
      tensor_shape: { dim: shapeOf(inputs[name]).map((size) => ({ size })) },
      [names[1]]: dtype === "string" ? values.map(bytesOf) : values,
    };
  }
  return made;
}

function shapeOf(value: unknown): number[] {
  return Array.isArray(value) ? [value.length, ...shapeOf(value[0])] : [];
}

function bytesOf(value: unknown): string {
  if (value !== null && typeof value === "object" && "b64" in value) return String(value.b64);
  return btoa(String.fromCharCode(...new TextEncoder().encode(String(value))));
}
