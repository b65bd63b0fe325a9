// Builds the page into the folder that is its argument, by default the one that the server serves it from.
import { readFile, writeFile, copyFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "../service/transport/page");

await mkdir(out, { recursive: true });
const result = await build({
  absWorkingDir: here,
  entryPoints: { page: "src/main.tsx" },
  outdir: out,
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  loader: { ".csv": "text", ".png": "dataurl" },
  legalComments: "none", // they are in NOTICE.txt
  metafile: true,
});
await copyFile(join(here, "index.html"), join(out, "index.html"));
await writeFile(join(out, "NOTICE.txt"), await notice(result.metafile));

/** Returns the licences of the packages that are in the bundle. */
async function notice(metafile) {
  const used = new Set();
  for (const [output, { inputs }] of Object.entries(metafile.outputs))
    for (const [input, { bytesInOutput }] of Object.entries(inputs)) {
      const match = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
      if (match && (bytesInOutput > 0 || output.endsWith(".css"))) used.add(match[1]);
    }
  const parts = [
    "The page holds these packages, and pictures of the handwritten digits of the UCI machine learning repository\n" +
      "(Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, CC BY 4.0) as scikit-learn has them.\n",
  ];
  const byText = new Map();
  for (const name of [...used].sort()) {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const text = (await licence(folder)).trim();
    byText.set(text, [...(byText.get(text) ?? []), `${name} ${version}, ${license}`]);
  }
  for (const [text, names] of byText) parts.push(`${"-".repeat(80)}\n${names.join("\n")}\n\n${text}\n`);
  return parts.join("\n");
}

/** Returns the text of a package's licence. */
async function licence(folder) {
  for (const name of ["LICENSE", "license", "LICENSE.md", "LICENCE"]) {
    try {
      return await readFile(join(folder, name), "utf8");
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
  }
  throw new Error(`${folder} has no licence`);
}
