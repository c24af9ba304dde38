// --log of a run that goes on: one file, in which each step is once.

// DEFINE: %{train} = plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors
// DEFINE: %{numbers} = %python -c "import sys; print(*[line.rsplit(',', 1)[0] for line in open(sys.argv[1])], sep='\n')"

// RUN: rm -rf %t && mkdir %t
// RUN: %python %S/Inputs/make_data.py %t/data.safetensors
// RUN: %{train} -n 8 --log=%t/whole.csv --save=%t/eight
// RUN: %{train} -n 5 --log=%t/parts.csv --save=%t/five
// RUN: cp %t/parts.csv %t/five.csv
// RUN: %{train} -n 3 --log=%t/parts.csv --resume=%t/five 2>&1 | FileCheck %s --check-prefix=QUIET --implicit-check-not=warning
// QUIET: 3 steps
// RUN: %{numbers} %t/whole.csv > %t/whole.txt
// RUN: %{numbers} %t/parts.csv > %t/parts.txt
// RUN: cmp %t/whole.txt %t/parts.txt

// The file went on after the save, as that of a run that was killed did: what is
// done again is written again, once.
// RUN: %{train} -n 2 --log=%t/parts.csv --resume=%t/five 2>&1 | FileCheck %s --check-prefix=ANEW
// ANEW: step.mlir: warning: --log={{.*}}parts.csv: the lines after step 5, from which this run goes on, are written anew
// RUN: %{numbers} %t/parts.csv > %t/parts.txt
// RUN: %{train} -n 7 --log=%t/seven.csv
// RUN: %{numbers} %t/seven.csv > %t/seven.txt
// RUN: cmp %t/seven.txt %t/parts.txt

// The same in JSON.
// RUN: %{train} -n 5 --log=%t/parts.jsonl
// RUN: %{train} -n 3 --log=%t/parts.jsonl --resume=%t/five
// RUN: FileCheck %s --check-prefix=JSON < %t/parts.jsonl
// JSON: {"step": 4,
// JSON-NEXT: {"step": 5,
// JSON-NEXT: {"step": 6,
// JSON-NEXT: {"step": 7,
// JSON-NEXT: {"step": 8,
// JSON-NOT: step

// A new file is begun; a file that does not fit is refused, and left as it is.
// RUN: %{train} -n 1 --log=%t/new.csv --resume=%t/five
// RUN: FileCheck %s --check-prefix=NEW < %t/new.csv
// NEW: step,loss,ms
// NEW-NEXT: 6,
// DEFINE: %{refuse} = not %{train} -n 1 --resume=%t/eight 2>&1
// RUN: %{refuse} --log=%t/five.csv | FileCheck %s --check-prefix=SHORT
// SHORT: step.mlir: error: --log={{.*}}five.csv: ends at step 5, and this run goes on after step 8; give the log of the run that was saved, or a new file
// RUN: echo 'step,loss,ms' > %t/later.csv
// RUN: echo '10,1.0,0.1' >> %t/later.csv
// RUN: %{refuse} --log=%t/later.csv | FileCheck %s --check-prefix=LATER
// LATER: later.csv: has no line of that step, and this run goes on after step 8
// RUN: echo 'a letter' > %t/letter.csv
// RUN: %{refuse} --log=%t/letter.csv | FileCheck %s --check-prefix=NONE
// NONE: letter.csv: is no log of this format, and this run goes on after step 8
// RUN: grep 'a letter' %t/letter.csv
// RUN: cp %t/whole.csv %t/csv.jsonl
// RUN: %{refuse} --log=%t/csv.jsonl | FileCheck %s --check-prefix=FORMAT
// FORMAT: csv.jsonl: is no log of this format

// A run from the start writes a file from the start.
// RUN: %{train} -n 2 --log=%t/whole.csv
// RUN: FileCheck %s --check-prefix=AGAIN < %t/whole.csv
// AGAIN: step,loss,ms
// AGAIN-NEXT: 1,
// AGAIN-NEXT: 2,{{.*}}
// AGAIN-NOT: {{.}}
