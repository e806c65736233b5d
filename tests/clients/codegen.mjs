// graphql-codegen: its client preset over the schema, what the TypeScript compiler says of it, and how it runs.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { generate } from "@graphql-codegen/cli";
import { HTTP, as } from "./gateway.mjs";

const folder = mkdtempSync(join(tmpdir(), "codegen-"));
const load = createRequire(join(folder, "from.here"));
after(() => rmSync(folder, { recursive: true }));

test("the code for an application is generated, and compiles under --strict", async () => {
  cpSync("codegen", folder, { recursive: true });
  symlinkSync(join(process.cwd(), "node_modules"), join(folder, "node_modules"));

  await generate({
    schema: "../../schema.graphql",
    documents: join(folder, "app.ts"),
    silent: true,
    generates: {
      [join(folder, "gql/")]: {
        preset: "client",
        config: {
          strictScalars: true,
          scalars: {
            BigInt: "number",
            Date: "string",
            DateTime: "string",
            Decimal: "string",
            JSON: "unknown",
            UUID: "string",
            Upload: "File",
          },
        },
      },
    },
  });
  const config = {
    compilerOptions: {
      strict: true,
      target: "es2022",
      lib: ["es2023", "dom"],
      module: "commonjs",
      moduleResolution: "bundler",
      types: [],
      outDir: "built",
    },
    files: ["app.ts"],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  const tsc = join("node_modules", "typescript", "bin", "tsc");
  const { stdout } = await promisify(execFile)(process.execPath, [tsc, "-p", folder]).catch(
    (error) => error,
  );

  assert.equal(stdout, "");
});

test("the code runs, and what it gets is what its types say", async () => {
  const { tour, changePrice } = load("./built/app.js");

  const { offers, role, status, name } = await tour(HTTP, as("maya"));
  const refused = await changePrice(HTTP, as("maya"), "-1");

  assert.equal(offers.length, 2);
  for (const offer of offers) {
    assert.match(
      offer,
      /^.+ of Maya Lindqvist: \d+\.\d+ a minute, \d+ sessions since \d{4}-\d\d-\d\dT.+Z$/,
    );
  }
  assert.ok(offers[0].startsWith(`${name} of`));
  assert.equal(role, "CREATOR");
  assert.match(status, /^[A-Z]+$/);
  assert.deepEqual(refused, [["INVALID_INPUT", "input.basePrice", null]]);
});
