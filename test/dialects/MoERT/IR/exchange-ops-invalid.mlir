// RUN: moe-opt %s --split-input-file --verify-diagnostics

func.func @mixed(%x: tensor<8x64xf32>, %ids: memref<8x2xi32>, %p: tensor<8x2xf32>, %o: tensor<8x64xf32>) {
  // expected-error @+1 {{'moert.begin' op Y1: operands must be all tensors or all buffers}}
  %e, %sums = moert.begin ins(%x, %ids, %p : tensor<8x64xf32>, memref<8x2xi32>, tensor<8x2xf32>) outs(%o : tensor<8x64xf32>) parts 1 -> tensor<8x64xf32>
  return
}

// -----

func.func @no_result(%received: !moert.received, %n: index, %r: tensor<8x64xf32>, %i: tensor<8x2xi32>, %p: tensor<8x2xf32>) {
  // expected-error @+1 {{'moert.read' op Y1: expected results of the destinations' types on tensors, none on buffers, found 0 results for 3 destinations}}
  moert.read %received[%n] outs(%r, %i, %p : tensor<8x64xf32>, tensor<8x2xi32>, tensor<8x2xf32>)
  return
}

// -----

func.func @other_ids(%x: tensor<8x64xf32>, %ids: tensor<9x2xi32>, %p: tensor<9x2xf32>, %o: tensor<8x64xf32>) {
  // expected-error @+1 {{'moert.begin' op Y2: ids is 'tensor<9x2xi32>' but rows is 'tensor<8x64xf32>': extent 0 differs}}
  %e, %sums = moert.begin ins(%x, %ids, %p : tensor<8x64xf32>, tensor<9x2xi32>, tensor<9x2xf32>) outs(%o : tensor<8x64xf32>) parts 1 -> tensor<8x64xf32>
  return
}

// -----

func.func @other_clusters(%x: tensor<8x64xf32>, %ids: tensor<8x2xi32>, %p: tensor<8x2xf32>, %c: tensor<8x1xi32>, %o: tensor<8x64xf32>) {
  // expected-error @+1 {{'moert.begin' op Y2: clusters is 'tensor<8x1xi32>' but ids is 'tensor<8x2xi32>': extent 1 differs}}
  %e, %sums = moert.begin ins(%x, %ids, %p : tensor<8x64xf32>, tensor<8x2xi32>, tensor<8x2xf32>) by(%c : tensor<8x1xi32>) outs(%o : tensor<8x64xf32>) parts 1 -> tensor<8x64xf32>
  return
}

// -----

func.func @other_sums(%x: tensor<8x64xf32>, %ids: tensor<8x2xi32>, %p: tensor<8x2xf32>, %o: tensor<8x64xbf16>) {
  // expected-error @+1 {{'moert.begin' op Y2: expected a destination of the rows' element type, found 'tensor<8x64xbf16>' for 'tensor<8x64xf32>'}}
  %e, %sums = moert.begin ins(%x, %ids, %p : tensor<8x64xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%o : tensor<8x64xbf16>) parts 1 -> tensor<8x64xbf16>
  return
}

// -----

func.func @no_such_part(%x: tensor<8x64xf32>, %ids: tensor<8x2xi32>, %p: tensor<8x2xf32>, %o: tensor<8x64xf32>) {
  %e, %sums = moert.begin ins(%x, %ids, %p : tensor<8x64xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%o : tensor<8x64xf32>) parts 2 -> tensor<8x64xf32>
  // expected-error @+1 {{'moert.dispatch' op Y3: expected a part below 2, found 2}}
  moert.dispatch %e part 2
  return
}

// -----

func.func @too_many_parts(%x: tensor<8x64xf32>, %ids: tensor<8x2xi32>, %p: tensor<8x2xf32>, %o: tensor<8x64xf32>) {
  // expected-error @+1 {{attribute 'parts' failed to satisfy constraint}}
  %e, %sums = moert.begin ins(%x, %ids, %p : tensor<8x64xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%o : tensor<8x64xf32>) parts 17 -> tensor<8x64xf32>
  return
}

// -----

func.func @narrower(%x: tensor<8x64xf32>, %ids: tensor<8x2xi32>, %p: tensor<8x2xf32>, %o: tensor<8x64xf32>, %n: index, %y: tensor<8x32xf32>) {
  %e, %sums = moert.begin ins(%x, %ids, %p : tensor<8x64xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%o : tensor<8x64xf32>) parts 1 -> tensor<8x64xf32>
  %count, %received = moert.receive %e part 0
  // expected-error @+1 {{'moert.write' op Y4: expected rows as those of the exchange, 'tensor<8x64xf32>', found 'tensor<8x32xf32>'}}
  moert.write %received[%n] ins(%y : tensor<8x32xf32>)
  return
}
