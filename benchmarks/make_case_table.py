#!/usr/bin/env python3
"""The simple case mappings of Unicode as ranges, for StringNormalizer.

    make_case_table.py > ops/case_table.inc
"""

import unicodedata


def ranges(mapped):
    """Runs of code points one or two apart that move by the same amount: [first, last, step, move]."""
    out = []
    for c in range(128, 0x110000):
        if 0xD800 <= c < 0xE000:
            continue
        text = mapped(chr(c))
        if len(text) != 1 or ord(text) == c:
            continue
        move, last = ord(text) - c, out[-1] if out else None
        if last and last[3] == move and (c - last[1] == last[2] or (last[0] == last[1] and c - last[1] in (1, 2))):
            last[1], last[2] = c, c - last[1]
        else:
            out.append([c, c, 1, move])
    return out


def table(name, rows):
    print(f"static const case_range {name}[] = {{")
    words = [f"{{ {a}, {b}, {step}, {move} }}" for a, b, step, move in rows]
    line = ""
    for word in words:
        if len(line) + len(word) > 114:
            print("   " + line)
            line = ""
        line += " " + word + ","
    print("   " + line)
    print("};")


print(f"/* Made by benchmarks/make_case_table.py from Unicode {unicodedata.unidata_version}: code points from the first")
print(" * number to the second, by steps of the third, move by the fourth. */")
table("to_lower", ranges(str.lower))
table("to_upper", ranges(str.upper))
