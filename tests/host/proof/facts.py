#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proves facts.c: runs its LLVM code with arguments of which nothing is known, and has Z3 look for any that make it
false.  What is public has a value, so that every jump and address is known; a secret that reaches one ends the proof.

    facts.py FILE.ll            TAP, one test for each fact_*() there
"""
import re
import sys

import z3

TIMEOUT_MS = 600000


class Stuck(Exception):
    """A jump or an address that depends on a secret, or code this does not know."""


def width(kind):
    return 64 if kind.endswith('*') else int(kind[1:])


def expr(value, bits):
    return z3.BitVecVal(value, bits) if isinstance(value, int) else value


def simple(value):
    value = z3.simplify(value)
    return value.as_long() if z3.is_bv_value(value) else value


class Memory:
    """Octets by address; each object has a range of addresses to itself."""

    def __init__(self):
        self.octets = {}
        self.objects = []

    def new(self, name, size, unknown=False):
        base = (len(self.objects) + 1) << 20
        self.objects.append((base, base + size))
        for i in range(size if unknown else 0):
            self.octets[base + i] = z3.BitVec(f'{name}_{i}', 8)
        return base

    def check(self, address):
        if not isinstance(address, int):
            raise Stuck('an address depends on a secret')
        if not any(low <= address < high for low, high in self.objects):
            raise Stuck('outside of every object')

    def read(self, address):
        self.check(address)
        if address not in self.octets:
            raise Stuck('read before it was set')
        return self.octets[address]

    def write(self, address, octet):
        self.check(address)
        self.octets[address] = octet

    def load(self, address, bits):
        octets = [expr(self.read(address + i), 8) for i in range((bits + 7) // 8)]
        value = z3.Concat(*reversed(octets)) if len(octets) > 1 else octets[0]
        return simple(z3.Extract(bits - 1, 0, value))

    def store(self, address, value, bits):
        value = expr(value, bits)
        for i in range(bits // 8):
            self.write(address + i, simple(z3.Extract(8 * i + 7, 8 * i, value)))


BINARY = {
    'add': lambda a, b: a + b, 'sub': lambda a, b: a - b, 'mul': lambda a, b: a * b,
    'and': lambda a, b: a & b, 'or': lambda a, b: a | b, 'xor': lambda a, b: a ^ b,
    'shl': lambda a, b: a << b, 'lshr': z3.LShR, 'ashr': lambda a, b: a >> b,
}
COMPARE = {
    'eq': lambda a, b: a == b, 'ne': lambda a, b: a != b, 'ult': z3.ULT, 'ule': z3.ULE, 'ugt': z3.UGT, 'uge': z3.UGE,
    'slt': lambda a, b: a < b, 'sle': lambda a, b: a <= b, 'sgt': lambda a, b: a > b, 'sge': lambda a, b: a >= b,
}
BINARY_RE = re.compile(r'(%s)((?: nuw| nsw| exact)*) (i\d+) (\S+), (\S+)$' % '|'.join(BINARY))
TYPE = r'(i\d+\**|\[\d+ x i\d+\]\**)'


def size_of(kind):
    array = re.match(r'\[(\d+) x (i\d+)\]$', kind)
    return int(array[1]) * size_of(array[2]) if array else width(kind) // 8


class Machine:
    def __init__(self, text):
        self.functions = {}
        for head, body in re.findall(r'^define (.*?) \{\n(.*?)^\}', text, re.M | re.S):
            name = re.search(r'@(\w+)\(', head)[1]
            arguments = re.search(r'@\w+\((.*?)\) ', head + ' ')[1]
            kinds = [a.split()[0] for a in arguments.split(',')] if arguments else []
            names = [a.split()[-1] for a in arguments.split(',')] if arguments else []
            self.functions[name] = (kinds, names, self.blocks(body, len(kinds)))
        self.memory = Memory()
        self.assumed = []

    @staticmethod
    def blocks(body, arguments):
        blocks, label = {}, f'%{arguments}'
        blocks[label] = []
        for line in body.splitlines():
            line = re.sub(r'(, ![\w.]+ !\d+)+|\s*;.*', '', line).strip()
            found = re.match(r'(\d+):$', line)
            if found:
                label = f'%{found[1]}'
                blocks[label] = []
            elif line:
                blocks[label].append(re.sub(r', align \d+', '', line))
        return blocks

    def run(self, name, arguments):
        kinds, names, blocks = self.functions[name]
        values = dict(zip(names, arguments))
        label, previous = next(iter(blocks)), None
        while True:
            jump = None
            fresh = {}
            for line in blocks[label]:
                target, _, code = line.rpartition(' = ') if re.match(r'%\S+ = ', line) else ('', '', line)
                if code.startswith('phi'):
                    fresh[target] = self.phi(code, values, previous)
                    continue
                values.update(fresh)
                fresh = {}
                if code.startswith('ret'):
                    found = re.match(r'ret (i\d+) (\S+)$', code)
                    return self.value(found[2], width(found[1]), values) if found else None
                if code.startswith('br'):
                    jump = self.branch(code, values)
                    break
                result = self.step(code, values)
                if target:
                    values[target] = result
            label, previous = jump, label

    @staticmethod
    def value(text, bits, values):
        text = text.rstrip(',')
        if text in values:
            return values[text]
        if text in ('true', 'false'):
            return int(text == 'true')
        if re.match(r'-?\d+$', text):
            return int(text) & ((1 << bits) - 1)
        raise Stuck(f'operand {text}')

    def phi(self, code, values, previous):
        kind = code.split()[1]
        for value, label in re.findall(r'\[ (\S+), (%\d+) \]', code):
            if label == previous:
                return self.value(value, width(kind), values)
        raise Stuck(code)

    def branch(self, code, values):
        found = re.match(r'br label (%\d+)', code)
        if found:
            return found[1]
        found = re.match(r'br i1 (\S+), label (%\d+), label (%\d+)', code)
        condition = self.value(found[1], 1, values)
        if not isinstance(condition, int):
            raise Stuck('a jump depends on a secret')
        return found[2] if condition else found[3]

    def step(self, code, values):
        def get(text, kind):
            return self.value(text, width(kind), values)

        found = BINARY_RE.match(code)
        if found:
            op, _, kind, a, b = found.groups()
            bits = width(kind)
            return simple(BINARY[op](expr(get(a, kind), bits), expr(get(b, kind), bits)))
        found = re.match(r'icmp (\w+) (\S+) (\S+), (\S+)$', code)
        if found:
            op, kind, a, b = found.groups()
            true = COMPARE[op](expr(get(a, kind), width(kind)), expr(get(b, kind), width(kind)))
            return simple(z3.If(true, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1)))
        found = re.match(r'select i1 (\S+), (\S+) (\S+), (\S+) (\S+)$', code)
        if found:
            condition, kind, a, _, b = found.groups()
            bits = width(kind)
            return simple(z3.If(expr(get(condition, 'i1'), 1) == 1, expr(get(a, kind), bits), expr(get(b, kind), bits)))
        found = re.match(r'(zext|sext|trunc) (i\d+) (\S+) to (i\d+)$', code)
        if found:
            op, kind, a, to = found.groups()
            a, more = expr(get(a, kind), width(kind)), width(to) - width(kind)
            return simple(z3.Extract(width(to) - 1, 0, a) if op == 'trunc' else
                          z3.ZeroExt(more, a) if op == 'zext' else z3.SignExt(more, a))
        found = re.match(r'load (\S+), (\S+) (\S+)$', code)
        if found:
            return self.memory.load(get(found[3], 'i64'), width(found[1].rstrip(',')))
        found = re.match(r'store (\S+) (\S+), (\S+) (\S+)$', code)
        if found:
            kind, a, _, address = found.groups()
            return self.memory.store(get(address, 'i64'), get(a, kind), width(kind))
        found = re.match(r'alloca ' + TYPE + '$', code)
        if found:
            return self.memory.new('local', size_of(found[1]))
        found = re.match(r'bitcast ' + TYPE + r' (\S+) to (\S+)$', code)
        if found:
            return get(found[2], 'i64')
        found = re.match(r'getelementptr (?:inbounds )?(?:\[\d+ x )?(i\d+)\]?, ' + TYPE + r' (\S+), (.*)$', code)
        if found:
            # Whole arrays are never stepped over: the first index of one is 0.
            element, _, base, indices = found.groups()
            indices = [get(text.split()[1], text.split()[0]) for text in indices.split(', ')]
            if len(indices) == 2 and indices[0] != 0:
                raise Stuck(code)
            return simple(expr(get(base, 'i64'), 64) + expr(indices[-1], 64) * size_of(element))
        found = re.match(r'(?:tail )?call .*?@([\w.]+)\((.*?)\)(?: #\d+)?$', code)
        if found:
            return self.call(found[1], found[2], values)
        raise Stuck(code)

    def call(self, name, text, values):
        operands = []
        for part in text.split(', '):
            words = re.sub(r'dereferenceable(_or_null)?\(\d+\)|align \d+', '', part).split()
            if words and words[0] != 'metadata':
                operands.append(self.value(words[-1], width(words[0]), values))
        if name in self.functions:
            return self.run(name, operands)
        if name.startswith('llvm.umin'):
            a, b = (expr(o, int(name.rpartition('.i')[2])) for o in operands)
            return simple(z3.If(z3.ULT(a, b), a, b))
        if name == 'assume':
            self.assumed.append(expr(operands[0], 1) == 1)
        elif name.startswith('llvm.memcpy') or name == 'memcpy':
            octets = [self.memory.read(operands[1] + i) for i in range(operands[2])]
            for i, octet in enumerate(octets):
                self.memory.write(operands[0] + i, octet)
        elif name.startswith('llvm.memset') or name in ('memset', 'shim_zero'):
            octet = 0 if name == 'shim_zero' else operands[1]
            octet = octet & 0xff if isinstance(octet, int) else simple(z3.Extract(7, 0, octet))
            for i in range(operands[1] if name == 'shim_zero' else operands[2]):
                self.memory.write(operands[0] + i, octet)
        elif not name.startswith(('llvm.lifetime', 'llvm.dbg')):
            raise Stuck(f'call of {name}')
        return None


def prove(text, name):
    """None if the fact holds whatever its arguments, else what speaks against it."""
    machine = Machine(text)
    arguments = []
    for i, kind in enumerate(machine.functions[name][0]):
        arguments.append(machine.memory.new(f'data{i}', 512, unknown=True) if kind.endswith('*') else
                         z3.BitVec(f'argument{i}', width(kind)))
    try:
        result = machine.run(name, arguments)
    except Stuck as stuck:
        return f'stuck: {stuck}'
    solver = z3.SolverFor('QF_BV')
    solver.set('timeout', TIMEOUT_MS)
    solver.add(*machine.assumed)
    if solver.check() != z3.sat:
        return 'what is assumed cannot be'
    solver.add(expr(result, 1) == 0)
    answer = solver.check()
    if answer == z3.unsat:
        return None
    return str(solver.model()) if answer == z3.sat else f'the solver says {answer}'


def main():
    with open(sys.argv[1], encoding='ascii') as file:
        text = file.read()
    names = re.findall(r'^define .*@(fact_\w+)\(', text, re.M)
    names = [n for n in names if len(sys.argv) < 3 or any(part in n for part in sys.argv[2:])]
    failed = 0
    for number, name in enumerate(names, 1):
        against = prove(text, name)
        failed += against is not None
        if against:
            print('#', against.replace('\n', ' ')[:1000])
        print(f'{"not " if against else ""}ok {number} - {name}', flush=True)
    print(f'1..{len(names)}')
    return 1 if failed or not names else 0


if __name__ == '__main__':
    sys.exit(main())
