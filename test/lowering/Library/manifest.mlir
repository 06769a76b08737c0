// The manifest, whole.
// REQUIRES: moe-compile
// RUN: rm -rf %t && moe-compile %s -o %t
// RUN: %python -c "import json, sys; print(json.dumps(json.load(sys.stdin)))" < %t/manifest.json | FileCheck %s
// CHECK: {"moec_manifest": "0.1", "abi": "0.6", "compiler": "moec {{[0-9.]+}}", "pipeline": "reference",
// CHECK-SAME: "variants": ["portable"],
// CHECK-SAME: "entries": [
// CHECK-SAME: {"name": "second", "symbol": "moec_second", "arguments": [
// CHECK-SAME: {"name": "mask", "dtype": "bool", "shape": [-1, 0], "role": "input"}]},
// CHECK-SAME: {"name": "first", "symbol": "moec_first", "arguments": [
// CHECK-SAME: {"name": "arg0", "dtype": "float64", "shape": [], "role": "input"},
// CHECK-SAME: {"name": "arg1", "dtype": "int64", "shape": [-2, -3], "role": "input"},
// CHECK-SAME: {"name": "result0", "dtype": "int64", "shape": [-2, -3], "role": "output"}]}]}
func.func @second(%mask: tensor<?x0xi1> {moec.name = "mask"}) {
  return
}
func.func @first(%x: tensor<f64>, %y: tensor<?x?xi64>) -> tensor<?x?xi64> {
  return %y : tensor<?x?xi64>
}
