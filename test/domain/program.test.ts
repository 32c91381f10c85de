// The verdict of a program: exactly one, or none with what is wrong.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseVerdict, programsOf } from '../../domain/program.js';
import { digits, parsed } from './document.support.js';

const faultOf = (text: string): string => {
  const read = parseVerdict(text);
  return 'fault' in read ? read.fault : 'none';
};

describe('verdict.json', () => {
  it('is a verdict with its value, or without one', () => {
    expect(parseVerdict('{"passed": true, "reason": "gap 0.01", "value": 0.01}\n')).toEqual({
      verdict: { passed: true, reason: 'gap 0.01', value: 0.01 },
    });
    expect(parseVerdict('{"passed": false, "reason": "no"}')).toEqual({
      verdict: { passed: false, reason: 'no', value: null },
    });
  });

  it.each([
    ['', 'no JSON'],
    ['passed', 'no JSON'],
    ['{"passed": true, "reason": "x", "value": NaN}', 'no JSON'],
    ['{"passed": true, "reason": "x"} {"passed": true}', 'no JSON'],
    ['true', 'the whole: found true'],
    ['null', 'the whole: found null'],
    ['[{"passed": true, "reason": "x"}]', 'the whole: found a list of 1'],
    ['{}', 'passed: found nothing'],
    ['{"passed": true}', 'reason: found nothing'],
    ['{"reason": "x"}', 'passed: found nothing'],
    ['{"passed": "true", "reason": "x"}', 'passed: found "true"; allowed: true or false'],
    ['{"passed": 1, "reason": "x"}', 'passed: found 1'],
    ['{"passed": null, "reason": "x"}', 'passed: found null'],
    ['{"passed": true, "reason": ""}', 'reason: found ""'],
    ['{"passed": true, "reason": 7}', 'reason: found 7'],
    [`{"passed": true, "reason": "${'x'.repeat(1001)}"}`, 'at most 1000 characters'],
    ['{"passed": true, "reason": "x", "value": "0.1"}', 'value: found "0.1"'],
    ['{"passed": true, "reason": "x", "value": null}', 'value: found null'],
    ['{"passed": true, "reason": "x", "value": 1e999}', 'value: found Infinity'],
    ['{"passed": true, "reason": "x", "score": 1}', 'unknown field "score"'],
    ['{"Passed": true, "reason": "x"}', 'unknown field "Passed"'],
    ['{"__proto__": {"passed": true}, "reason": "x"}', 'passed: found nothing'],
  ])('%s is none', (text, fault) => {
    expect(faultOf(text)).toContain(fault);
    expect(faultOf(text).length).toBeLessThan(600);
  });

  it('never passes but where it says exactly true', () => {
    const value = fc.oneof(fc.jsonValue(), fc.record({ passed: fc.jsonValue(), reason: fc.jsonValue() }));
    fc.assert(
      fc.property(value, (given) => {
        const read = parseVerdict(JSON.stringify(given));
        if ('verdict' in read) expect(read.verdict.passed).toBe((given as { passed: unknown }).passed);
        if ('verdict' in read && read.verdict.passed) expect((given as { passed: unknown }).passed).toBe(true);
      }),
    );
  });
});

it('the programs of a document are found where it names them', () => {
  const code = `sha256:${'a'.repeat(64)}`;
  const program = { code, program: ['x'] };
  const gate = { metric: 'accuracy', min: 0.5, checks: [{ size: { maxBytes: 1 } }, { command: program }] };
  const trainer = [{ type: 'linear' }, { type: 'command', params: program }];
  const pathsOf = (changes: Parameters<typeof digits>[0], listed: boolean) =>
    programsOf(parsed(digits(changes)), listed).map(({ path, params }) => [path, params.code]);
  expect(pathsOf({ trainer, gate }, true)).toEqual([
    ['trainer[1].params', code],
    ['gate.checks[1].command', code],
  ]);
  expect(pathsOf({ trainer: trainer[1]! }, false)).toEqual([['trainer.params', code]]);
  expect(pathsOf({}, false)).toEqual([]);
});
