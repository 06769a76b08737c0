// Public functions return what their routers decide, behind their own results.
// RUN: moe-opt %s --moe-instrument | FileCheck %s

// CHECK-LABEL: func.func @one(
// CHECK-SAME: -> (tensor<?x8xf32> {moec.name = "y"}, tensor<?x2x!moe.id<expert[8]>> {moec.name = "ids"}, tensor<?x2xf32> {moec.name = "gates"})
// CHECK: %[[IDS:.+]], %[[GATES:.+]] = moe.route
// CHECK: return %{{.+}}, %[[IDS]], %[[GATES]]
func.func @one(%l: tensor<?x8xf32>) -> (tensor<?x8xf32> {moec.name = "y"}) {
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores> : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return %l : tensor<?x8xf32>
}

// CHECK-LABEL: func.func @two(
// CHECK-SAME: {moec.name = "ids0"}
// CHECK-SAME: {moec.name = "gates0"}
// CHECK-SAME: {moec.name = "ids1"}
// CHECK-SAME: {moec.name = "gates1"}
func.func @two(%l: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %a, %p = moe.route %l score softmax choose <top_k 2> gates <scores> : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  %b, %q = moe.route %l score sigmoid choose <top_k 1> gates <scores> : (tensor<?x8xf32>) -> (tensor<?x1x!moe.id<expert[8]>>, tensor<?x1xf32>)
  return %l : tensor<?x8xf32>
}

// Nobody outside sees the results of a private function, and one without routers has nothing to say.
// CHECK-LABEL: func.func private @hidden(%{{.+}}) -> tensor<?x8xf32>
// CHECK-LABEL: func.func @none(%{{.+}}) -> tensor<?x8xf32>
func.func private @hidden(%l: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores> : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return %l : tensor<?x8xf32>
}
func.func @none(%l: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = call @hidden(%l) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}
