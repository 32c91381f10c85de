// Makes the namespace and its search attributes once, or says with which commands an operator can.
import type { Connection } from '@temporalio/client';
import { Failure } from '../domain/failures.js';
import { searchAttributes } from '../domain/ids.js';

const retentionDays = 30;
/** temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD */
const keyword = 2;
const notFound = 5;
const alreadyExists = 6;

function codeOf(error: unknown): number | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'number' ? code : undefined;
}

/** The commands that do by hand what `ensureNamespace` does. */
export function namespaceCommands(namespace: string): string[] {
  return [
    `temporal operator namespace create --namespace ${namespace} --retention ${retentionDays}d`,
    ...searchAttributes.map(
      (name) => `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type Keyword`,
    ),
  ];
}

async function ensureExists(connection: Connection, namespace: string): Promise<void> {
  try {
    await connection.workflowService.describeNamespace({ namespace });
  } catch (error) {
    if (codeOf(error) !== notFound) throw error;
    await connection.workflowService
      .registerNamespace({
        namespace,
        workflowExecutionRetentionPeriod: { seconds: (retentionDays * 86_400) as unknown as never, nanos: 0 },
      })
      .catch((cause: unknown) => {
        if (codeOf(cause) !== alreadyExists) throw cause;
      });
  }
}

async function ensureAttributes(connection: Connection, namespace: string): Promise<void> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = searchAttributes.filter((name) => !Object.hasOwn(customAttributes ?? {}, name));
  if (missing.length === 0) return;
  await connection.operatorService.addSearchAttributes({
    namespace,
    searchAttributes: Object.fromEntries(missing.map((name) => [name, keyword])),
  });
}

/** Throws `Unavailable` with the exact commands where the server does not permit it. */
export async function ensureNamespace(connection: Connection, namespace: string): Promise<void> {
  try {
    await ensureExists(connection, namespace);
    await ensureAttributes(connection, namespace);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const commands = namespaceCommands(namespace).join('\n  ');
    throw new Failure(
      'Unavailable',
      `Temporal's namespace is not ready (${reason}). An operator can run:\n  ${commands}`,
      {
        cause: error,
      },
    );
  }
}
