# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Interrupts a command as Ctrl-C does: interrupt.py LOG LINES COMMAND ...

Sends SIGINT when the file LOG has LINES lines; prints the command's exit code.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path


def main(log: str, lines: str, *command: str) -> None:
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    try:
        while process.poll() is None:
            if time.monotonic() > deadline:
                sys.exit("interrupt.py: the log did not grow, or nothing stopped")
            if Path(log).exists() and Path(log).read_bytes().count(b"\n") >= int(lines):
                process.send_signal(signal.SIGINT)
                process.wait(60)
            time.sleep(0.01)
    finally:
        process.kill()
    print("code", process.wait())


main(*sys.argv[1:])
