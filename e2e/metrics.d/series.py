#!/usr/bin/env python3
"""The series of metrics in the classic text format, without their values.

series.py FILE PREFIX...    those whose names begin with a PREFIX: types, and names with all labels in order
"""

import re
import sys

LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')


def series(line):
    name, _, rest = line.partition("{")
    if not rest:
        return name.split()[0]
    labels = sorted(LABEL.findall(rest[: rest.rindex("}")]))
    return name + "{" + ",".join(f'{label}="{value}"' for label, value in labels) + "}"


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    with open(sys.argv[1]) as file:
        lines = [line.strip() for line in file]
    prefixes = tuple(sys.argv[2:])
    found = {line for line in lines if line.startswith(tuple(f"# TYPE {prefix}" for prefix in prefixes))}
    found |= {series(line) for line in lines if line.startswith(prefixes)}
    print("\n".join(sorted(found)))


main()
