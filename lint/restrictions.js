// What the syntax of some folders may not contain, as esquery selectors with the reason that the reader sees.

export const noDefaultExport = {
  selector: 'ExportDefaultDeclaration',
  message: 'Name the export: a default one is called differently in every file that imports it.',
};

/** domain/ and stats/ run inside workflows, on replay too: time and chance are arguments. */
export const clockAndChance = [
  {
    selector: "MemberExpression[object.name='Date'][property.name='now']",
    message: 'Pass the time in: the same input must give the same answer on replay.',
  },
  {
    selector: "NewExpression[callee.name='Date'][arguments.length=0]",
    message: 'Pass the time in: the same input must give the same answer on replay.',
  },
  {
    selector: "CallExpression[callee.name='Date']",
    message: 'Pass the time in: the same input must give the same answer on replay.',
  },
  {
    selector: "MemberExpression[object.name='Math'][property.name='random']",
    message: 'Take a seed and use stats/prng: the same input must give the same answer on replay.',
  },
];

/** What workflow code must not reach for; there, Date, Math.random and timers are the SDK's and replay. */
export const workflowGlobals = [
  'process',
  'fetch',
  'Buffer',
  'require',
  'crypto',
  'setImmediate',
  'queueMicrotask',
].map((name) => ({ name, message: 'Not inside workflows: do it in an activity.' }));

export const realTests = [
  {
    selector: "CallExpression[callee.object.name='vi'][callee.property.name=/^(mock|doMock|hoisted|stubGlobal)$/]",
    message: 'Use the real thing, or the memory driver that passes the contract suite.',
  },
  {
    selector: "MemberExpression[object.name=/^(test|it|describe|suite)$/][property.name='only']",
    message: 'This would skip every other test.',
  },
];
