import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answersOf } from '../../domain/measure.js';
import { agreementOf, type Serving, servingOptions, variantRule } from '../../domain/variant.js';

const serving = (variant: Serving['variant'], minAgreement = 0.99): Serving => ({ variant, minAgreement });
const float32 = { variant: 'float32' as const, sizeBytes: 4000, agreement: 1 };
const int8 = (agreement: number, sizeBytes = 1000) => ({ variant: 'int8' as const, sizeBytes, agreement });
const options = (which: Serving, ...forms: Parameters<typeof servingOptions>[1]) =>
  servingOptions(which, [float32, ...forms], 'linear');

describe('which variant may be served', () => {
  it('is float32 unless something else is asked for', () => {
    expect(options(serving('float32'), int8(1))).toEqual({ wanted: ['float32'], dropped: [] });
  });

  it('is int8 from the required agreement on', () => {
    expect(options(serving('int8'), int8(0.99))).toEqual({ wanted: ['int8'], dropped: [] });
    expect(options(serving('int8'), int8(0.98999))).toEqual({
      wanted: [],
      dropped: [
        {
          variant: 'int8',
          reason: 'int8 agrees with float32 on a share of 0.9899 of the holdout rows, below the required 0.99',
        },
      ],
    });
  });

  it('with auto, is float32 where int8 does not agree, is not smaller or does not exist', () => {
    expect(options(serving('auto'), int8(1)).wanted).toEqual(['int8', 'float32']);
    expect(options(serving('auto'), int8(0.5)).wanted).toEqual(['float32']);
    const large = options(serving('auto'), int8(1, 4000));
    expect(large.wanted).toEqual(['float32']);
    expect(large.dropped[0]?.reason).toBe('int8 takes 4000 bytes, no fewer than the 4000 of float32');
    expect(options(serving('auto')).dropped[0]?.reason).toBe('int8: the trainer linear has no int8 form');
    expect(options(serving('int8'), int8(1, 4000)).wanted).toEqual(['int8']);
  });

  it('never serves on an agreement that is no number', () => {
    expect(options(serving('int8'), int8(NaN)).wanted).toEqual([]);
  });

  it('is told in one sentence of the verdict', () => {
    const dropped = [{ variant: 'int8' as const, reason: 'too far off' }];
    expect(variantRule(serving('float32'), float32, { dropped: [], refused: false })).toEqual([]);
    expect(variantRule(serving('int8'), int8(0.5), { dropped, refused: true })).toEqual([
      { passed: false, reason: 'too far off' },
    ]);
    expect(variantRule(serving('auto'), float32, { dropped, refused: false })).toEqual([
      { passed: true, reason: 'float32 is served: too far off' },
    ]);
    expect(variantRule(serving('int8'), int8(0.9972), { dropped: [], refused: false })).toEqual([
      { passed: true, reason: 'int8 is served: it agrees with float32 on a share of 0.9972 of the holdout rows' },
    ]);
  });
});

describe('agreement', () => {
  const classes = ['a', 'b'];
  const classified = (label: string[]) =>
    answersOf('classification', label, { label, probabilities: new Float32Array(label.length * 2) }, classes, classes);
  const regressed = (truth: number[], value: number[]) =>
    answersOf('regression', truth.map(String), { value: Float32Array.from(value) }, [], []);

  it('is the share of equal labels', () => {
    expect(agreementOf(classified(['a', 'b', 'b', 'a']), classified(['a', 'b', 'a', 'a']))).toBe(0.75);
    expect(agreementOf(classified([]), classified([]))).toBeNaN();
  });

  it('of values allows a twentieth of the target’s spread', () => {
    const truth = [0, 10, 0, 10];
    const first = regressed(truth, [1, 2, 3, 4]);
    expect(agreementOf(first, regressed(truth, [1.24, 2, 3, 4.24]))).toBe(1);
    expect(agreementOf(first, regressed(truth, [1.26, 2, 3, 4.24]))).toBe(0.75);
    expect(agreementOf(regressed([5, 5], [5, 5]), regressed([5, 5], [5.2, 5.3]))).toBe(0.5);
    expect(agreementOf(first, regressed(truth, [NaN, NaN, NaN, NaN]))).toBe(0);
  });

  it('of a model with itself is whole', () => {
    const values = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 });
    fc.assert(
      fc.property(values, (value) => {
        expect(agreementOf(regressed(value, value), regressed(value, value))).toBe(1);
      }),
    );
  });
});
