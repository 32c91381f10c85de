// Who may import whom: the table of docs/architecture.md as data, and the rule that holds the code to it.
// An entry is a folder (`domain`), a path below one (`activities/fail`), a file name pattern (`workflows/*.messages`),
// a package (`npm:pg`, `npm:*`) or Node's own modules (`node:*`); `types:` in front allows type imports only.
import { dirname, posix, relative, sep } from 'node:path';

/** Folders that are not listed (bench, examples, test, docs, bin, lint, deploy, the root) import what they exercise. */
export const table = {
  domain: ['domain', 'stats'],
  stats: ['domain', 'stats'],
  ml: ['domain', 'stats', 'ml', 'npm:onnxruntime-node', 'node:*'],
  workflows: ['domain', 'stats', 'workflows', 'types:activities', 'npm:@temporalio/workflow'],
  activities: [
    ...['domain', 'stats', 'ml', 'db', 'adapters', 'npm:*', 'node:*', 'types:workflows'],
    ...['same noun', 'activities/fail', 'activities/step', 'activities/reuse', 'activities/program'],
  ],
  db: ['domain', 'db', 'types:adapters', 'npm:drizzle-orm', 'npm:pg', 'node:*'],
  adapters: ['domain', 'adapters', 'npm:*', 'node:*'],
  api: [
    ...['domain', 'stats', 'db', 'adapters', 'api', 'web', 'npm:*', 'node:*'],
    ...['workflows/*.messages', 'types:workflows'],
  ],
  // the browser's half: what it imports at run time must be served to it
  'web/client': ['web/client', 'types:domain'],
  web: ['domain', 'stats', 'db', 'adapters', 'web', 'npm:*', 'node:*', 'workflows/*.messages', 'types:workflows'],
  workers: ['domain', 'stats', 'ml', 'activities', 'db', 'adapters', 'workers', 'npm:*', 'node:*'],
  cli: ['domain', 'cli', 'adapters/config', 'npm:*', 'node:*'],
};

/** Files that gather a folder and therefore reach further than their neighbours. */
export const exceptions = {
  'activities/index.ts': ['activities'],
};

/** `activities/training/train.ts` and `activities/training.ts` are both about `training`. */
function nounOf(path) {
  return path.split('/')[1]?.replace(/\..*$/, '');
}

/** The specifier as the table writes it: `domain/ids`, `npm:pg`, `node:fs`. */
function nameOf(specifier, file) {
  if (specifier.startsWith('node:')) return specifier;
  if (!specifier.startsWith('.')) {
    const parts = specifier.split('/');
    return `npm:${specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]}`;
  }
  return posix.normalize(posix.join(dirname(file), specifier)).replace(/\.[jt]sx?$/, '');
}

function covers(entry, name, file) {
  if (entry === 'same noun') return name.startsWith(`${file.split('/')[0]}/`) && nounOf(name) === nounOf(file);
  if (entry.includes('*')) {
    const [head, tail] = entry.split('*');
    return name.startsWith(head) && name.endsWith(tail);
  }
  return name === entry || name.startsWith(`${entry}/`);
}

/** Whether `file` (relative to the project, with `/`) may import `specifier`. */
export function mayImport(file, specifier, typesOnly = false) {
  const [folder, below] = file.split('/');
  const allowed = table[`${folder}/${below}`] ?? table[folder];
  if (!allowed || !file.includes('/')) return true;
  const name = nameOf(specifier, file);
  return [...allowed, ...(exceptions[file] ?? [])].some((entry) => {
    if (!entry.startsWith('types:')) return covers(entry, name, file);
    return typesOnly && covers(entry.slice('types:'.length), name, file);
  });
}

function onlyTypes(node) {
  if (node.importKind === 'type' || node.exportKind === 'type') return true;
  return node.specifiers?.length > 0 && node.specifiers.every((one) => (one.importKind ?? one.exportKind) === 'type');
}

export const importTable = {
  meta: {
    type: 'problem',
    docs: { description: 'hold imports to the import table of docs/architecture.md' },
    messages: {
      forbidden: '{{from}}/ may not import {{specifier}} here: see the import table in docs/architecture.md',
    },
    schema: [],
  },
  create(context) {
    const file = relative(context.cwd, context.filename).split(sep).join('/');
    const check = (source, typesOnly) => {
      if (source?.type !== 'Literal' || mayImport(file, String(source.value), typesOnly)) return;
      const data = { from: file.split('/')[0], specifier: String(source.value) };
      context.report({ node: source, messageId: 'forbidden', data });
    };
    return {
      ImportDeclaration: (node) => check(node.source, onlyTypes(node)),
      ExportNamedDeclaration: (node) => check(node.source, onlyTypes(node)),
      ExportAllDeclaration: (node) => check(node.source, onlyTypes(node)),
      ImportExpression: (node) => check(node.source, false),
      TSImportType: (node) => check(node.source ?? node.argument?.literal, true),
    };
  },
};
