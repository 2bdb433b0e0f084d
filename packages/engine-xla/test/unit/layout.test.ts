import { describe, expect, it } from 'vitest';
import { FUNCTIONS, STRUCTS } from '../../src/pjrt/api-table.js';
import { layOut, Struct } from '../../src/pjrt/layout.js';

const LATEST = 115;

const nowhere = (): bigint => 0n;

describe('layout of structs', () => {
  // Sizes that plugins of API 0.115 name when they are sent something smaller.
  it.each([
    ['Client_Create', FUNCTIONS.Client_Create.fields, 88],
    ['Executable_DeserializeAndLoad', FUNCTIONS.Executable_DeserializeAndLoad.fields, 64],
    ['ExecuteOptions', STRUCTS.ExecuteOptions, 112],
    ['NamedValue', STRUCTS.NamedValue, 56],
  ] as const)('%s has the size that plugins expect', (_, fields, size) => {
    expect(layOut(fields, LATEST).size).toBe(size);
  });

  it('aligns fields to their size and ends after the last one', () => {
    const { offsets, size } = layOut(FUNCTIONS.Client_BufferFromHostBuffer.fields, LATEST);
    expect(offsets.get('type')).toBe(32);
    expect(offsets.get('dims')).toBe(40);
    expect(offsets.get('host_buffer_semantics')).toBe(72);
    expect(offsets.get('buffer')).toBe(112);
    expect(size).toBe(120);
    expect(layOut(FUNCTIONS.Event_IsReady.fields, LATEST).size).toBe(25);
  });

  it('leaves out what an older plugin does not know', () => {
    expect(layOut(STRUCTS.ExecuteOptions, 63).size).toBe(72);
    expect(layOut(STRUCTS.ExecuteOptions, 64).size).toBe(80);
    expect(layOut(STRUCTS.ExecuteOptions, 76).size).toBe(88);
    const old = new Struct(FUNCTIONS.Executable_GetCompiledMemoryStats.fields, 71, nowhere);
    expect(old.set({ peak_memory_in_bytes: 1 }).number('peak_memory_in_bytes')).toBeUndefined();
    expect(() => old.big('peak_memory_in_bytes')).toThrow('no field peak_memory_in_bytes');
  });

  it('writes and reads every kind of field', () => {
    const struct = new Struct(
      { p: { kind: 'pointer' }, i: { kind: 'i32' }, b: { kind: 'bool' }, l: { kind: 'i64' }, n: { kind: 'size' } },
      LATEST,
      nowhere,
    ).set({ p: 0xfedc_ba98_7654_3210n, i: -7, b: true, l: -9n, n: 5 });
    expect(struct.big('p')).toBe(0xfedc_ba98_7654_3210n);
    expect([struct.number('i'), struct.flag('b'), struct.big('l'), struct.number('n')]).toEqual([-7, true, -9n, 5]);
    struct.cell('n')[0] = 8n;
    expect(struct.number('n')).toBe(8);
    expect(new DataView(struct.bytes.buffer).getBigUint64(0, true)).toBe(48n);
  });

  it('keeps what its fields point to, and what that points to', () => {
    const fields = { p: { kind: 'pointer' }, n: { kind: 'pointer' } } as const;
    const addresses = new Map<ArrayBufferView, bigint>();
    const addressOf = (memory: ArrayBufferView): bigint => {
      addresses.set(memory, BigInt(addresses.size + 1));
      return addresses.get(memory) as bigint;
    };
    const text = Buffer.from('text');
    const inner = new Struct(fields, LATEST, addressOf).set({ p: text });
    const outer = new Struct(fields, LATEST, addressOf).set({ n: inner });
    expect(inner.held).toEqual([text]);
    expect(outer.held).toEqual([inner]);
    expect([inner.big('p'), outer.big('n')]).toEqual([addresses.get(text), addresses.get(inner.bytes)]);
  });

  it('gives every function a place of its own', () => {
    const slots = Object.values(FUNCTIONS).map(({ slot }) => slot);
    expect(new Set(slots).size).toBe(slots.length);
  });
});
