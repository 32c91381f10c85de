import { expect, it } from 'vitest';
import { identify } from '../../adapters/embedded/process.js';
import { servicesAlive } from '../../workers/services.js';

it('a service whose pid belongs to somebody else by now is not alive', () => {
  const self = identify(process.pid)!;
  expect(servicesAlive({ processes: [] })).toBe(true);
  expect(servicesAlive({ processes: [self] })).toBe(true);
  expect(servicesAlive({ processes: [self, { ...self, started: `${self.started}0` }] })).toBe(false);
  expect(servicesAlive({ processes: [{ ...self, started: '' }] })).toBe(false);
});
