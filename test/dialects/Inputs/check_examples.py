"""Checks the examples of a dialect's generated documentation: every op has one, and every example is a line of a test that parses it.

usage: check_examples.py DOC.md TEST.mlir…
"""

import re
import sys


def main():
    document, *tests = sys.argv[1:]
    tested = {line.strip() for test in tests for line in open(test, encoding="utf-8")}
    op, in_example, examples, errors = None, False, {}, 0
    for line in open(document, encoding="utf-8"):
        if heading := re.match(r"### `([a-z_.]+)` \(", line):
            op = heading.group(1)
            examples.setdefault(op, 0)
        elif line.startswith("```"):
            in_example = line.strip() == "```mlir"
        elif in_example and line.strip():
            examples[op] += 1
            if line.strip() not in tested:
                errors += 1
                print(f"{document}: the example of {op} is in no test: {line.strip()}")
    for op, count in examples.items():
        if not count:
            errors += 1
            print(f"{document}: {op} has no example")
    print(f"{len(examples)} ops, {sum(examples.values())} lines of examples, {errors} errors")
    sys.exit(1 if errors else 0)


main()
