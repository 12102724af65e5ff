// A file with a mistake ends in a positioned error and a failing exit code.
// RUN: not smelt-opt %s 2>&1 | FileCheck %s
// CHECK: parse_error.mlir:[[# @LINE + 1]]:{{[0-9]+}}: error:
"lm.no_such_op"() : () -> ()
