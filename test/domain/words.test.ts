import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cronFault } from '../../domain/cron.js';
import { formatDuration, parseDuration } from '../../domain/duration.js';
import { editDistance, nearestWord } from '../../domain/nearest.js';

describe('durations', () => {
  it.each([
    ['3 days', 259_200_000],
    ['1 hour', 3_600_000],
    ['90 s', 90_000],
    ['1.5 h', 5_400_000],
    ['1 h 30 min', 5_400_000],
    ['250ms', 250],
    ['2 Weeks', 1_209_600_000],
    ['0 s', 0],
  ])('%s', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(['', 'soon', '3', 'days', '3 fortnights', '-1 s', '1 day,', 'P3D', '1'.repeat(40) + ' days', '3 toString'])(
    '%s is none',
    (text) => expect(parseDuration(text)).toBeNull(),
  );

  it('are read back from what was written, for whole seconds of up to two units', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 1, max: 300 }), (hours, days) => {
        const ms = (days * 24 + hours) * 3_600_000;
        expect(parseDuration(formatDuration(ms))).toBe(ms);
      }),
    );
    expect(formatDuration(90_061_000)).toBe('1 day 1 hour');
    expect(formatDuration(5)).toBe('5 ms');
  });
});

describe('nearest words', () => {
  it('a distance counts swaps as one', () => {
    expect(editDistance('acuracy', 'accuracy')).toBe(1);
    expect(editDistance('linaer', 'linear')).toBe(1);
    expect(editDistance('', 'abc')).toBe(3);
  });

  it.each([
    ['f1', 'macroF1'],
    ['log_loss', 'logLoss'],
    ['ACCURACY', 'accuracy'],
    ['mse', 'rmse'],
    ['zzz', null],
    ['', null],
  ])('%s -> %s', (word, nearest) => {
    expect(nearestWord(word, ['accuracy', 'macroF1', 'logLoss', 'rmse', 'mae', 'r2'])).toBe(nearest);
  });

  it('is the distance a metric', () => {
    const word = fc.string({ maxLength: 8 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, a)).toBe(0);
      }),
    );
  });
});

describe('cron', () => {
  it.each(['* * * * *', '0-59/5 0 1 1 0', '0 0 * JAN-DEC SUN', '@hourly', ' 0 2 * * * '])('%s', (line) =>
    expect(cronFault(line)).toBeNull(),
  );
  it.each([
    ['', '0 of five'],
    ['* * * * * *', '6 of five'],
    ['*/0 * * * *', 'step of 0'],
    ['5-1 * * * *', 'backwards'],
    ['* 24 * * *', 'outside 0-23'],
    ['* * * 13 *', 'outside 1-12'],
    ['* * 0 * *', 'outside 1-31'],
    ['* * * * fri-', 'not of the form'],
    ['a * * * *', 'not of the form'],
    ['*-3 * * * *', 'not of the form'],
    ['@reboot', 'not an alias'],
    ['0 0 30 2 *', 'no such day'],
  ])('%s: %s', (line, part) => expect(cronFault(line)).toContain(part));
  it('never throws', () => {
    fc.assert(fc.property(fc.string(), (line) => void cronFault(line)));
  });
});
