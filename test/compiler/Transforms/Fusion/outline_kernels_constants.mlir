// RUN: smelt-opt --smelt-form-kernels --smelt-outline-kernels %s | FileCheck %s

// Kernels that differ in nothing but a table of constants are two kernels: the rates and the decays of a bank's matrices.
// CHECK-LABEL: func.func @step
// CHECK: call @[[RATES:kernel_[0-9]+]]()
// CHECK-NOT: call @[[RATES]]()
// CHECK: call @[[DECAYS:kernel_[0-9]+]]()
// CHECK: func.func private @[[RATES]]()
// CHECK: dense<[1.000000e+00, 2.000000e+00]>
// CHECK: func.func private @[[DECAYS]]()
// CHECK: dense<[3.000000e+00, 4.000000e+00]>
func.func @step() -> (tensor<8xf32>, tensor<8xf32>) {
  %rates = lm.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %a = lm.expand_groups %rates : tensor<2xf32> -> tensor<8xf32>
  %decays = lm.constant dense<[3.0, 4.0]> : tensor<2xf32>
  %b = lm.expand_groups %decays : tensor<2xf32> -> tensor<8xf32>
  return %a, %b : tensor<8xf32>, tensor<8xf32>
}
