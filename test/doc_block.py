# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prints a code block of a document, so that tests run what the reader copies.

    doc_block.py FILE HEADING [LANGUAGE]

The first block of that language (none: a block that names none) below the line
`## HEADING`. Exits with 1 where there is no such block.
"""

import re
import sys
from pathlib import Path


def main(file: str, heading: str, language: str = "") -> None:
    text = Path(file).read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    for found, block in re.findall(r"^```(\S*)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
        if found == language:
            print(block, end="")
            return
    sys.exit(f"{file}: no block of language '{language}' below '{heading}'")


main(*sys.argv[1:])
