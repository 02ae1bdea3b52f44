/**
 * Writes every .proto of csi-proto into src/gen as a module: parsed, and without the options that csi.proto declares, so
 * that a start need not do it. Run by `npm run gen`.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
// Adds google/protobuf/descriptor.proto, which csi.proto imports for its options.
import '@grpc/proto-loader';
import protobuf from 'protobufjs';

const ROOT = path.join(import.meta.dirname, '..');
const PROTOS = path.join(ROOT, 'csi-proto');
const PACKAGE = 'google.protobuf';

/** What only options are made of. */
const ofOptions = protobuf.Root.fromJSON(protobuf.common.get('google/protobuf/descriptor.proto') ?? {});

for (const file of readdirSync(PROTOS)) {
  const name = path.basename(file, '.proto');
  const root = new protobuf.Root().loadSync(path.join(PROTOS, file));
  const google = root.lookup(PACKAGE);
  for (const message of google instanceof protobuf.Namespace ? [...google.nestedArray] : []) {
    if (ofOptions.lookup(`${PACKAGE}.${message.name}`)) message.parent?.remove(message);
  }
  const json = JSON.stringify(root, withoutOptions);
  const module = [
    `// Original file: csi-proto/${file}`,
    `import type { INamespace } from 'protobufjs';`,
    `export const ${name.toUpperCase()}_PROTO: INamespace = JSON.parse(${JSON.stringify(json)});`,
  ];
  writeFileSync(path.join(ROOT, `src/gen/${name}-proto.ts`), `${module.join('\n\n')}\n`);
}

/** Without declarations of options, and their uses, which are in parentheses. The others matter to the wire. */
function withoutOptions(key: string, value: unknown): unknown {
  const declares = typeof value === 'object' && value !== null && 'extend' in value;
  return declares || key.startsWith('(') ? undefined : value;
}
