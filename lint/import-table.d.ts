// Types of import-table.js for the tests; ESLint itself loads the JavaScript.
export const table: Record<string, string[]>;
export const exceptions: Record<string, string[]>;
export function mayImport(file: string, specifier: string, typesOnly?: boolean): boolean;
export const importTable: unknown;
