// RUN: moe-opt %s -o %t && FileCheck %s --input-file=%t
// RUN: moe-opt %t | diff %t -
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | diff %t -
// RUN: moe-opt %s --emit-bytecode | moe-opt | diff %t -
// Attributes print as they are written: what is absent stays absent, real numbers take the fewest digits that read back.

// CHECK-LABEL: func.func private @encodings
// CHECK-SAME: bf16 = #moe.encoding<bf16>
// CHECK-SAME: f16 = #moe.encoding<f16>
// CHECK-SAME: f32 = #moe.encoding<f32>
// CHECK-SAME: f8 = #moe.encoding<f8e4m3>
// CHECK-SAME: f8_grouped = #moe.encoding<f8e4m3 group 128 scale bf16>
// CHECK-SAME: int4 = #moe.encoding<int4 group 32 zero_point scale f16 along output>
// CHECK-SAME: int8 = #moe.encoding<int8>
// CHECK-SAME: int8_zero = #moe.encoding<int8 zero_point>
// CHECK-SAME: mxfp4 = #moe.encoding<mxfp4 group 32>
func.func private @encodings() attributes {
  f32 = #moe.encoding<f32>, bf16 = #moe.encoding<bf16>, f16 = #moe.encoding<f16 along input>,
  f8 = #moe.encoding<f8e4m3>, f8_grouped = #moe.encoding<f8e4m3 group 128 scale bf16>,
  int8 = #moe.encoding<int8 group 0 scale f32>, int8_zero = #moe.encoding<int8 zero_point>,
  int4 = #moe.encoding<int4 group 32 zero_point scale f16 along output>, mxfp4 = #moe.encoding<mxfp4 group 32>}

// CHECK-LABEL: func.func private @sources
// CHECK-SAME: external = #moe.external<"model"::"layers.0.gate">
// CHECK-SAME: mean = #moe.mean<@w by @t>
// CHECK-SAME: mix = #moe.basis_mix<bases of 3 on output rank 2 of @w>
// CHECK-SAME: mix_coefficients = #moe.basis_mix<coefficients of 3 on input rank 2 phi silu noise 7.000000e-02 : f64 of @w>
// CHECK-SAME: mix_factor = #moe.mix_factor<on input phi tanh noise 0.000000e+00 : f64 @b by @a of @w>
// CHECK-SAME: mix_factor_plain = #moe.mix_factor<on output @b by @a of @w>
// CHECK-SAME: odd_names = #moe.external<""::"a\22b\\c\0A::d">
// CHECK-SAME: permuted = #moe.permuted<output of @w by dense<{{\[}}[1, 0], [0, 1]]> : tensor<2x2xi32>>
// CHECK-SAME: seeded = #moe.seeded<7>
// CHECK-SAME: seeded_negative = #moe.seeded<-1 scale 0.02>
// CHECK-SAME: svd_alone = #moe.svd<output rank 2 of @w whitened by @m>
// CHECK-SAME: svd_input = #moe.svd<input rank 4 of @w minus @base by @t>
// CHECK-SAME: svd_output = #moe.svd<output rank 4 of @w minus @base by @"odd name">
func.func private @sources() attributes {
  external = #moe.external<"model"::"layers.0.gate">, odd_names = #moe.external<"" :: "a\22b\\c\0A::d">,
  seeded = #moe.seeded<7>, seeded_negative = #moe.seeded<-1 scale 2.0e-2>, mean = #moe.mean<@w by @t>,
  permuted = #moe.permuted<output of @w by dense<[[1, 0], [0, 1]]> : tensor<2x2xi32>>,
  mix = #moe.basis_mix<bases of 3 on output rank 2 phi identity of @w>,
  mix_coefficients = #moe.basis_mix<coefficients of 3 on input rank 2 phi silu noise 0.07 of @w>,
  mix_factor = #moe.mix_factor<on input phi tanh noise 0.0 @b by @a of @w>,
  mix_factor_plain = #moe.mix_factor<on output @b by @a of @w>,
  svd_alone = #moe.svd<output rank 2 of @w whitened by @m>,
  svd_input = #moe.svd<input rank 4 of @w minus @base by @t>,
  svd_output = #moe.svd<output rank 4 of @w minus @base by @"odd name">}

// CHECK-LABEL: func.func private @stages
// CHECK-SAME: capacity = #moe.capacity<1.25 at_least 4 drop last>
// CHECK-SAME: capacity_lowest = #moe.capacity<2.0 drop lowest>
// CHECK-SAME: expert_choice = #moe.choice<expert_choice 8 at 2.0>
// CHECK-SAME: gates = #moe.gates<scores>
// CHECK-SAME: gates_floor = #moe.gates<scores, l1_floor eps 1.0e-12>
// CHECK-SAME: gates_l1 = #moe.gates<scores, l1 eps 1.0e-20 scale 2.5>
// CHECK-SAME: gates_l2 = #moe.gates<softmax, l2>
// CHECK-SAME: gates_scale = #moe.gates<sigmoid scale -1.0>
// CHECK-SAME: gates_sparsemixer = #moe.gates<sparsemixer>
// CHECK-SAME: hash = #moe.choice<hash 6>
// CHECK-SAME: limit = #moe.limit<keep 3 of 8 by max>
// CHECK-SAME: limit_logits = #moe.limit<keep 1 of 1 by logits>
// CHECK-SAME: limit_sum = #moe.limit<keep 2 of 8 by sum>
// CHECK-SAME: limit_zero = #moe.limit<keep 4 of 8 by top2_sum masked zero>
// CHECK-SAME: sparsemixer = #moe.choice<sparsemixer 2 at 0.01>
// CHECK-SAME: specials = #moe.specials<zero 1 identity 2 constant 3>
// CHECK-SAME: specials_identity = #moe.specials<identity 256>
// CHECK-SAME: threshold = #moe.choice<threshold 4 at -0.5>
// CHECK-SAME: top_k = #moe.choice<top_k 2>
// CHECK-SAME: top_p = #moe.choice<top_p 8 at 0.9>
func.func private @stages() attributes {
  limit = #moe.limit<keep 3 of 8 by max masked neg_inf>, limit_zero = #moe.limit<keep 4 of 8 by top2_sum masked zero>,
  limit_logits = #moe.limit<keep 1 of 1 by logits>, limit_sum = #moe.limit<keep 2 of 8 by sum>, top_k = #moe.choice<top_k 2>, top_p = #moe.choice<top_p 8 at 0.9>,
  threshold = #moe.choice<threshold 4 at -0.5>, hash = #moe.choice<hash 6>,
  expert_choice = #moe.choice<expert_choice 8 at 2.0>, sparsemixer = #moe.choice<sparsemixer 2 at 0.01>,
  gates = #moe.gates<scores, keep>, gates_l1 = #moe.gates<scores, l1 eps 1.0e-20 scale 2.5>,
  gates_l2 = #moe.gates<softmax, l2>, gates_floor = #moe.gates<scores, l1_floor eps 1.0e-12>,
  gates_scale = #moe.gates<sigmoid scale -1.0>, gates_sparsemixer = #moe.gates<sparsemixer>,
  capacity = #moe.capacity<1.25 at_least 4 drop last>, capacity_lowest = #moe.capacity<2.0 at_least 0 drop lowest>,
  specials = #moe.specials<zero 1 identity 2 constant 3>, specials_identity = #moe.specials<identity 256>}

// CHECK-LABEL: func.func private @activations
// CHECK-SAME: gelu = #moe.activation<gelu>
// CHECK-SAME: gelu_tanh = #moe.activation<gelu_tanh>
// CHECK-SAME: gpt_oss = #moe.activation<sigmoid_alpha alpha 1.702 clamp 7.0 offset 1.0>
// CHECK-SAME: identity = #moe.activation<identity>
// CHECK-SAME: relu = #moe.activation<relu>
// CHECK-SAME: relu2 = #moe.activation<relu2>
// CHECK-SAME: sigmoid_alpha = #moe.activation<sigmoid_alpha>
// CHECK-SAME: silu = #moe.activation<silu clamp 7.0>
// CHECK-SAME: tanh = #moe.activation<tanh offset -1.0>
func.func private @activations() attributes {
  identity = #moe.activation<identity>, silu = #moe.activation<silu clamp 7.0>, gelu = #moe.activation<gelu>,
  gelu_tanh = #moe.activation<gelu_tanh>, relu = #moe.activation<relu>, relu2 = #moe.activation<relu2>,
  sigmoid_alpha = #moe.activation<sigmoid_alpha>, tanh = #moe.activation<tanh offset -1.0>,
  gpt_oss = #moe.activation<sigmoid_alpha alpha 1.702 clamp 7.0 offset 1.0>}

// Real numbers read back bit by bit: halves, thirds, the smallest and the largest, both zeros.
// CHECK-LABEL: func.func private @reals
// CHECK-SAME: a = #moe.seeded<0 scale 0.5>
// CHECK-SAME: b = #moe.seeded<0 scale 0.3333333333333333>
// CHECK-SAME: c = #moe.seeded<0 scale 5.0e-324>
// CHECK-SAME: d = #moe.seeded<0 scale 1.7976931348623157e+308>
// CHECK-SAME: e = #moe.seeded<0 scale -0.0>
// CHECK-SAME: f = #moe.seeded<0 scale 1.0e+22>
// CHECK-SAME: g = #moe.seeded<0 scale 0.1>
func.func private @reals() attributes {
  a = #moe.seeded<0 scale 0.5>, b = #moe.seeded<0 scale 0.33333333333333331>, c = #moe.seeded<0 scale 4.9e-324>,
  d = #moe.seeded<0 scale 1.7976931348623157e+308>, e = #moe.seeded<0 scale -0.0>,
  f = #moe.seeded<0 scale 10000000000000000000000.0>, g = #moe.seeded<0 scale 0.1000000000000000055>}

// Enumerations of ops print as keywords.
// CHECK: moe.param @layouts0 {{.*}} layout row_major residency pinned
// CHECK: moe.param @layouts1 {{.*}} layout panel16 residency cached
// CHECK: moe.param @layouts2 {{.*}} layout vnni2 residency cold
// CHECK: moe.param @layouts3 {{.*}} layout wgmma_a_frag
moe.param @layouts0 : !moe.weight<4x4xf32> = #moe.seeded<0> layout row_major residency pinned
moe.param @layouts1 : !moe.weight<4x4xf32> = #moe.seeded<0> layout panel16 residency cached
moe.param @layouts2 : !moe.weight<4x4xf32> = #moe.seeded<0> layout vnni2 residency cold
moe.param @layouts3 : !moe.weight<4x4xf32> = #moe.seeded<0> layout wgmma_a_frag
