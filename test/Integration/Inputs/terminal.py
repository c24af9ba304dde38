# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs a command whose stderr is a terminal, and prints what it wrote there.

A carriage return is printed as `<CR>` and a new line, ESC as `<ESC>`.
"""

import os
import subprocess
import sys

ours, theirs = os.openpty()
process = subprocess.Popen(sys.argv[1:], stderr=theirs, stdout=subprocess.DEVNULL)
os.close(theirs)
written = b""
while True:
    try:
        piece = os.read(ours, 4096)
    except OSError:  # what Linux says when the other end is closed
        break
    if not piece:
        break
    written += piece
text = written.decode().replace("\r\n", "\n")
print(text.replace("\r", "<CR>\n").replace("\x1b", "<ESC>"))
sys.exit(process.wait())
