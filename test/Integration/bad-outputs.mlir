// What cannot be written is found before the first step where that is possible:
// exit code 2, and a message that names the option and the path.

// RUN: rm -rf %t && mkdir %t
// RUN: echo '"$@" 2>&1; echo "code $?"' > %t/exit.sh
// RUN: %python %S/Inputs/make_data.py %t/data.safetensors
// DEFINE: %{exit} = bash %t/exit.sh plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors
// DEFINE: %{early} = FileCheck %s --implicit-check-not='ms/step'

// RUN: %{exit} -n 1 --report=%t/no/report.json | %{early} --check-prefix=REPORT
// REPORT: --report={{.*}}/no/report.json: there is no directory {{.*}}/no{{$}}
// REPORT: code 2
// RUN: %{exit} -n 1 --log=%t/no/log.csv | %{early} --check-prefix=LOG
// LOG: --log={{.*}}/no/log.csv: there is no directory {{.*}}/no{{$}}
// LOG: code 2
// RUN: %{exit} -n 1 --results=%t/no/r.safetensors | %{early} --check-prefix=RESULTS
// RESULTS: --results={{.*}}/no/r.safetensors: there is no directory {{.*}}/no{{$}}
// RESULTS: code 2
// RUN: %{exit} -n 4 --compare --report=%t/no/report.json | %{early} --check-prefix=REPORT

// A directory where a file is to be.
// RUN: mkdir %t/folder
// RUN: %{exit} -n 1 --report=%t/folder | %{early} --check-prefix=REPORT-DIR
// REPORT-DIR: --report={{.*}}/folder: is a directory; give the name of a file
// REPORT-DIR: code 2
// RUN: %{exit} -n 1 --log=%t/folder | %{early} --check-prefix=LOG-DIR
// LOG-DIR: --log={{.*}}/folder: is a directory; give the name of a file
// LOG-DIR: code 2
// RUN: %{exit} -n 1 --results=%t/folder | %{early} --check-prefix=RESULTS-DIR
// RESULTS-DIR: --results={{.*}}/folder: is not a regular file
// RESULTS-DIR: code 2

// A file where a directory is to be.
// RUN: %{exit} -n 1 --save=%t/exit.sh | %{early} --check-prefix=SAVE
// SAVE: --save={{.*}}/exit.sh: {{.*}}/exit.sh is not a directory
// SAVE: code 2
// RUN: %{exit} -n 1 --save=%t/exit.sh/below | %{early} --check-prefix=SAVE-BELOW
// SAVE-BELOW: --save={{.*}}/exit.sh/below: {{.*}}/exit.sh is not a directory
// SAVE-BELOW: code 2
// RUN: mkdir -p %t/taken/model.safetensors
// RUN: %{exit} -n 1 --save=%t/taken | FileCheck %s --check-prefix=TAKEN
// TAKEN: taken/model.safetensors: cannot rename: Is a directory
// TAKEN: code 2

// A device is not replaced by a file.
// RUN: %{exit} -n 1 --results=/dev/null | %{early} --check-prefix=DEVICE
// DEVICE: --results=/dev/null: is not a regular file
// DEVICE: code 2

// A disk that is full.
// RUN: %{exit} -n 1 --report=/dev/full | FileCheck %s --check-prefix=REPORT-FULL
// REPORT-FULL: error: /dev/full: No space left on device
// REPORT-FULL: code 2
// RUN: %{exit} -n 1 --log=/dev/full | %{early} --check-prefix=LOG-FULL
// LOG-FULL: error: cannot write /dev/full: No space left on device
// LOG-FULL: code 2
// A table that cannot be read is not a difference, which is code 1.
// RUN: echo '"$@" 2>&1 >/dev/full; echo "code $?"' > %t/full.sh
// RUN: bash %t/full.sh plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors -n 2 --compare | FileCheck %s --check-prefix=STDOUT
// RUN: bash %t/full.sh plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors -n 2 --save=%t/after | FileCheck %s --check-prefix=STDOUT
// STDOUT: step.mlir: error: cannot write to standard output: No space left on device
// STDOUT: code 2
// RUN: test -e %t/after/model.safetensors
// While training: it goes on, and is saved.
// RUN: ln -s /dev/full %t/full.jsonl
// RUN: %{exit} -n 3 --log=%t/full.jsonl --save=%t/kept | FileCheck %s --check-prefix=LOG-LATER
// LOG-LATER: error: cannot write {{.*}}full.jsonl: No space left on device
// LOG-LATER-NOT: error
// LOG-LATER: backward: 3 steps
// LOG-LATER: code 2
// RUN: test -e %t/kept/model.safetensors
