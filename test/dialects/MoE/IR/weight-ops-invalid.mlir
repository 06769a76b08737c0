// RUN: moe-opt %s --split-input-file --verify-diagnostics
// Constraints P1 to P5, L1, L2, W1 to W9.

// A param declares a weight or a table.
// expected-error @below {{'moe.param' op declares a weight or a table, found 'tensor<4xf32>'}}
moe.param @w : tensor<4xf32> = #moe.seeded<0>

// -----

// P1: the source.
// expected-error @below {{P1: expected inline values, #moe.external, #moe.seeded, #moe.mean, #moe.permuted, #moe.svd, #moe.basis_mix or #moe.mix_factor, found 3 : i64}}
moe.param @w : !moe.weight<4x4xf32> = 3

// -----

// expected-error @below {{P1: expected inline values, #moe.external, #moe.seeded, #moe.mean, #moe.permuted, #moe.svd, #moe.basis_mix or #moe.mix_factor, found dense_resource<blob> : tensor<2xi32>}}
moe.param @t : !moe.table<expert[2] -> cluster[2]> = dense_resource<blob> : tensor<2xi32>

// -----

// expected-error @below {{P1: expected inline values, #moe.external, #moe.seeded, #moe.mean, #moe.permuted, #moe.svd, #moe.basis_mix or #moe.mix_factor, found array<i32: 0, 1>}}
moe.param @t : !moe.table<expert[2] -> cluster[2]> = array<i32: 0, 1>

// -----

// expected-error @below {{P1: expected inline values, #moe.external, #moe.seeded, #moe.mean, #moe.permuted, #moe.svd, #moe.basis_mix or #moe.mix_factor, found sparse<0, 1> : tensor<2000000000xi32>}}
moe.param @t : !moe.table<expert[2000000000] -> cluster[2]> = sparse<0, 1> : tensor<2000000000xi32>

// -----

// expected-error @below {{P1: a table is given by inline values or #moe.external, found #moe.seeded<0>}}
moe.param @t : !moe.table<expert[2] -> cluster[2]> = #moe.seeded<0>

// -----

// expected-error @below {{P1: a table is given by inline values or #moe.external, found #moe.mean<@t by @t>}}
moe.param @t : !moe.table<expert[2] -> cluster[2]> = #moe.mean<@t by @t>

// -----

// P2: inline values.
// expected-error @below {{P2: inline values of '!moe.weight<4x4xf32>' must be floats of shape [4, 4], found 'tensor<4x3xf32>'}}
moe.param @w : !moe.weight<4x4xf32> = dense<0.0> : tensor<4x3xf32>

// -----

// expected-error @below {{P2: inline values of '!moe.weight<4x4xf32, expert[2]>' must be floats of shape [2, 4, 4], found 'tensor<4x4xf32>'}}
moe.param @w : !moe.weight<4x4xf32, expert[2]> = dense<0.0> : tensor<4x4xf32>

// -----

// expected-error @below {{P2: inline values of '!moe.weight<1x2xf32>' must be floats of shape [1, 2], found 'tensor<1x2xi8>'}}
moe.param @w : !moe.weight<1x2xf32> = dense<0> : tensor<1x2xi8>

// -----

// expected-error @below {{P2: inline values of '!moe.weight<1x2xf32>' must be floats of shape [1, 2], found 'vector<1x2xf32>'}}
moe.param @w : !moe.weight<1x2xf32> = dense<0.0> : vector<1x2xf32>

// -----

// expected-error @below {{P2: inline values of '!moe.table<expert[2] -> cluster[2]>' must be tensor<2xi32>, found 'tensor<3xi32>'}}
moe.param @t : !moe.table<expert[2] -> cluster[2]> = dense<0> : tensor<3xi32>

// -----

// expected-error @below {{P2: inline values of '!moe.table<expert[2] -> cluster[2]>' must be tensor<2xi32>, found 'tensor<2xi64>'}}
moe.param @t : !moe.table<expert[2] -> cluster[2]> = dense<0> : tensor<2xi64>

// -----

// expected-error @below {{P2: inline values of '!moe.table<expert[2] -> cluster[2]>' must be tensor<2xi32>, found 'tensor<2xui32>'}}
moe.param @t : !moe.table<expert[2] -> cluster[2]> = dense<0> : tensor<2xui32>

// -----

// expected-error @below {{P2: inline values of '!moe.table<expert[2] -> cluster[2]>' must be tensor<2xi32>, found 'vector<2xi32>'}}
moe.param @t : !moe.table<expert[2] -> cluster[2]> = dense<0> : vector<2xi32>

// -----

// expected-error @below {{P2: table entry 2 is outside cluster[2]}}
moe.param @t : !moe.table<expert[2] -> cluster[2]> = dense<[1, 2]> : tensor<2xi32>

// -----

// expected-error @below {{P2: table entry -1 is outside cluster[2]}}
moe.param @t : !moe.table<expert[2] -> cluster[2]> = dense<-1> : tensor<2xi32>

// -----

// expected-error @below {{P2: table entry 7 is outside expert[2]}}
moe.param @many : !moe.table<expert[2000000000] -> expert[2]> = dense<7> : tensor<2000000000xi32>

// -----

// P3, P5: encoding and layout.
// expected-error @below {{P3: a table has no encoding}}
moe.param @t : !moe.table<expert[2] -> cluster[2]> = dense<0> : tensor<2xi32> encoding <f32>

// -----

// expected-error @below {{P5: a table has no layout}}
moe.param @t : !moe.table<expert[2] -> cluster[2]> = dense<0> : tensor<2xi32> layout panel16

// -----

// expected-error @below {{P3: group 32 does not divide 40 of '!moe.weight<40x64xf32>'}}
moe.param @w : !moe.weight<40x64xf32> = #moe.seeded<0> encoding <int4 group 32>

// -----

// expected-error @below {{P3: group 32 does not divide 40 of '!moe.weight<64x40xf32>'}}
moe.param @w : !moe.weight<64x40xf32> = #moe.seeded<0> encoding <int4 group 32 along output>

// -----

// expected-error @below {{expected string or keyword containing one of the following enum values for attribute 'layout' [row_major, panel16, vnni2, wgmma_a_frag]}}
moe.param @w : !moe.weight<4x4xf32> = #moe.seeded<0> layout 3

// -----

// expected-error @below {{expected string or keyword containing one of the following enum values for attribute 'layout' [row_major, panel16, vnni2, wgmma_a_frag]}}
moe.param @w : !moe.weight<4x4xf32> = #moe.seeded<0> layout col_major

// -----

// P6: rounding by moments.
moe.param @m : !moe.weight<4x4xf32> = #moe.seeded<0>
// expected-error @below {{P6: expected an encoding with scales of a param that is rounded by moments, found none}}
moe.param @w : !moe.weight<4x4xf32> = #moe.seeded<0> rounded by @m

// -----

moe.param @m : !moe.weight<4x4xf32> = #moe.seeded<0>
// expected-error @below {{P6: expected an encoding with scales of a param that is rounded by moments, found f8e4m3}}
moe.param @w : !moe.weight<4x4xf32> = #moe.seeded<0> encoding <f8e4m3> rounded by @m

// -----

moe.param @m : !moe.weight<4x4xf32> = #moe.seeded<0>
// expected-error @below {{P6: a table is not rounded}}
moe.param @t : !moe.table<expert[2] -> cluster[2]> = dense<0> : tensor<2xi32> rounded by @m

// -----

// expected-error @below {{P6: is rounded by unknown param @nothing}}
moe.param @w : !moe.weight<4x4xf32> = #moe.seeded<0> encoding <int8> rounded by @nothing

// -----

moe.param @m : !moe.weight<4x4xf32> = #moe.seeded<0>
// expected-error @below {{P6: expected moments of 6 inputs, 1 or as many rows, for one or each none, found '!moe.weight<4x4xf32>'}}
moe.param @w : !moe.weight<6x4xf32> = #moe.seeded<0> encoding <int8> rounded by @m

// -----

// expected-error @below {{P4: recipe depends on itself through "m"}}
moe.param @w : !moe.weight<4x4xf32, expert[2]> = #moe.permuted<input of @m by dense<[[0, 1, 2, 3], [1, 0, 2, 3]]> : tensor<2x4xi32>>
moe.param @m : !moe.weight<4x4xf32, expert[2]> = #moe.seeded<0> encoding <int8> rounded by @w

// -----

// P4: recipes.
moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
// expected-error @below {{P4: recipe reads unknown param @nothing}}
moe.param @base : !moe.weight<8x6xf32, cluster[2]> = #moe.mean<@nothing by @t>

// -----

moe.param @w : !moe.weight<2x3xf32, expert[2]> = #moe.seeded<0>
// expected-error @below {{P4: permuted values have type '!moe.weight<2x3xf32, expert[2]>', declared '!moe.weight<2x3xf16, expert[2]>'}}
moe.param @p : !moe.weight<2x3xf16, expert[2]> = #moe.permuted<input of @w by dense<[[0, 1], [1, 0]]> : tensor<2x2xi32>>

// -----

moe.param @w : !moe.weight<2x3xf32, expert[2]> = #moe.seeded<0>
// expected-error @below {{P4: expected permutations 'tensor<2x3xi32>', found 'tensor<2x2xi32>'}}
moe.param @p : !moe.weight<2x3xf32, expert[2]> = #moe.permuted<output of @w by dense<[[0, 1], [1, 0]]> : tensor<2x2xi32>>

// -----

moe.param @w : !moe.weight<2x3xf32, expert[2]> = #moe.seeded<0>
// expected-error @below {{P4: expected permutations 'tensor<2x2xi32>', found 'tensor<2x2xi64>'}}
moe.param @p : !moe.weight<2x3xf32, expert[2]> = #moe.permuted<input of @w by dense<[[0, 1], [1, 0]]> : tensor<2x2xi64>>

// -----

moe.param @w : !moe.weight<2x3xf32, expert[2]> = #moe.seeded<0>
// expected-error @below {{P4: expected indices below 3 in permutation 1, found 3}}
moe.param @p : !moe.weight<2x3xf32, expert[2]> = #moe.permuted<output of @w by dense<[[0, 1, 2], [1, 3, 0]]> : tensor<2x3xi32>>

// -----

moe.param @w : !moe.weight<2x3xf32, expert[2]> = #moe.seeded<0>
// expected-error @below {{P4: expected indices below 2 in permutation 0, found -1}}
moe.param @p : !moe.weight<2x3xf32, expert[2]> = #moe.permuted<input of @w by dense<[[0, -1], [1, 0]]> : tensor<2x2xi32>>

// -----

moe.param @w : !moe.weight<2x3xf32, expert[2]> = #moe.seeded<0>
// expected-error @below {{P4: expected each index once in permutation 1, found 0 again}}
moe.param @p : !moe.weight<2x3xf32, expert[2]> = #moe.permuted<input of @w by dense<[[0, 1], [0, 0]]> : tensor<2x2xi32>>

// -----

moe.param @w : !moe.weight<2x3xf32, expert[2]> = #moe.seeded<0>
// expected-error @below {{P4: expected each index once in permutation 0, found 0 again}}
moe.param @p : !moe.weight<2x3xf32, expert[2]> = #moe.permuted<input of @w by dense<0> : tensor<2x2xi32>>

// -----

moe.param @w : !moe.weight<2x3xf32, expert[2]> = #moe.seeded<0>
// expected-error @below {{P4: recipe reads unknown param @nothing}}
moe.param @p : !moe.weight<2x3xf32, expert[2]> = #moe.permuted<input of @nothing by dense<0> : tensor<2x2xi32>>

// -----

moe.param @w : !moe.weight<2x3xf32, expert[2]> = #moe.seeded<0>
// expected-error @below {{P4: recipe depends on itself through "p"}}
moe.param @p : !moe.weight<2x3xf32, expert[2]> = #moe.permuted<input of @p by dense<[[0, 1], [1, 0]]> : tensor<2x2xi32>>

// -----

moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
func.func private @f()
// expected-error @below {{P4: recipe reads unknown param @f}}
moe.param @base : !moe.weight<8x6xf32, cluster[2]> = #moe.mean<@f by @t>

// -----

moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
// expected-error @below {{P4: recipe needs a weight and a table, found '!moe.table<expert[4] -> cluster[2]>' and '!moe.table<expert[4] -> cluster[2]>'}}
moe.param @base : !moe.weight<8x6xf32, cluster[2]> = #moe.mean<@t by @t>

// -----

moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<0>
// expected-error @below {{P4: recipe needs a weight and a table, found '!moe.weight<8x6xf32, expert[4]>' and '!moe.weight<8x6xf32, expert[4]>'}}
moe.param @base : !moe.weight<8x6xf32, cluster[2]> = #moe.mean<@w by @w>

// -----

moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
moe.param @c : !moe.weight<8x6xf32, cluster[2]> = #moe.seeded<0>
// expected-error @below {{P4: '!moe.table<expert[4] -> cluster[2]>' does not start where '!moe.weight<8x6xf32, cluster[2]>' is indexed}}
moe.param @base : !moe.weight<8x6xf32, cluster[2]> = #moe.mean<@c by @t>

// -----

moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
moe.param @c : !moe.weight<8x6xf32> = #moe.seeded<0>
// expected-error @below {{P4: '!moe.table<expert[4] -> cluster[2]>' does not start where '!moe.weight<8x6xf32>' is indexed}}
moe.param @base : !moe.weight<8x6xf32, cluster[2]> = #moe.mean<@c by @t>

// -----

moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<0>
// expected-error @below {{P4: this mean has type '!moe.weight<8x6xf32, cluster[2]>', declared '!moe.weight<8x6xf32, cluster[3]>'}}
moe.param @base : !moe.weight<8x6xf32, cluster[3]> = #moe.mean<@w by @t>

// -----

moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<0>
// expected-error @below {{P4: this mean has type '!moe.weight<8x6xf32, cluster[2]>', declared '!moe.weight<8x6xf16, cluster[2]>'}}
moe.param @base : !moe.weight<8x6xf16, cluster[2]> = #moe.mean<@w by @t>

// -----

moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<0>
// expected-error @below {{P4: cannot subtract '!moe.weight<8x6xf32, expert[4]>' from '!moe.weight<8x6xf32, expert[4]>' by '!moe.table<expert[4] -> cluster[2]>'}}
moe.param @a : !moe.weight<8x2xf32, expert[4]> = #moe.svd<input rank 2 of @w minus @w by @t>

// -----

moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<0>
// expected-error @below {{P4: cannot subtract '!moe.table<expert[4] -> cluster[2]>' from '!moe.weight<8x6xf32, expert[4]>' by '!moe.table<expert[4] -> cluster[2]>'}}
moe.param @a : !moe.weight<8x2xf32, expert[4]> = #moe.svd<input rank 2 of @w minus @t by @t>

// -----

moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<0>
moe.param @base : !moe.weight<8x6xf32, cluster[2]> = #moe.mean<@w by @t>
// expected-error @below {{P4: rank 7 is outside 1 ... 6}}
moe.param @a : !moe.weight<8x7xf32, expert[4]> = #moe.svd<input rank 7 of @w minus @base by @t>

// -----

moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<0>
moe.param @base : !moe.weight<8x6xf32, cluster[2]> = #moe.mean<@w by @t>
// expected-error @below {{P4: rank 0 is outside 1 ... 6}}
moe.param @a : !moe.weight<8x1xf32, expert[4]> = #moe.svd<input rank 0 of @w minus @base by @t>

// -----

moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<0>
moe.param @base : !moe.weight<8x6xf32, cluster[2]> = #moe.mean<@w by @t>
// expected-error @below {{P4: rank -9223372036854775808 is outside 1 ... 6}}
moe.param @a : !moe.weight<8x1xf32, expert[4]> = #moe.svd<input rank -9223372036854775808 of @w minus @base by @t>

// -----

moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<0>
moe.param @base : !moe.weight<8x6xf32, cluster[2]> = #moe.mean<@w by @t>
// expected-error @below {{P4: this factor has type '!moe.weight<8x2xf32, expert[4]>', declared '!moe.weight<2x6xf32, expert[4]>'}}
moe.param @a : !moe.weight<2x6xf32, expert[4]> = #moe.svd<input rank 2 of @w minus @base by @t>

// -----

moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<0>
moe.param @base : !moe.weight<8x6xf32, cluster[2]> = #moe.mean<@w by @t>
// expected-error @below {{P4: this factor has type '!moe.weight<2x6xf32, expert[4]>', declared '!moe.weight<8x2xf32, expert[4]>'}}
moe.param @b : !moe.weight<8x2xf32, expert[4]> = #moe.svd<output rank 2 of @w minus @base by @t>

// -----

moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
// expected-error @below {{P4: an SVD is of a weight, found '!moe.table<expert[4] -> cluster[2]>'}}
moe.param @a : !moe.weight<8x2xf32, expert[4]> = #moe.svd<input rank 2 of @t>

// -----

moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<0>
// expected-error @below {{P4: this factor has type '!moe.weight<8x2xf32, expert[4]>', declared '!moe.weight<8x2xf32, expert[3]>'}}
moe.param @a : !moe.weight<8x2xf32, expert[3]> = #moe.svd<input rank 2 of @w>

// -----

moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<0>
// expected-error @below {{P4: expected moments of 8 inputs, 1 or as many rows, for one or each expert, found '!moe.weight<8x6xf32, expert[4]>'}}
moe.param @a : !moe.weight<8x2xf32, expert[4]> = #moe.svd<input rank 2 of @w whitened by @w>

// -----

// expected-error @below {{P4: recipe depends on itself through "self"}}
moe.param @self : !moe.weight<8x8xf32, expert[4]> = #moe.svd<input rank 8 of @self>

// -----

moe.param @same : !moe.table<expert[4] -> expert[4]> = dense<0> : tensor<4xi32>
// expected-error @below {{P4: recipe depends on itself through "self"}}
moe.param @self : !moe.weight<8x6xf32, expert[4]> = #moe.mean<@self by @same>

// -----

moe.param @same : !moe.table<expert[4] -> expert[4]> = dense<0> : tensor<4xi32>
// expected-error @below {{P4: recipe depends on itself through "first"}}
moe.param @second : !moe.weight<8x6xf32, expert[4]> = #moe.mean<@third by @same>
moe.param @third : !moe.weight<8x6xf32, expert[4]> = #moe.mean<@first by @same>
moe.param @first : !moe.weight<8x6xf32, expert[4]> = #moe.mean<@second by @same>

// -----

// L1, L2: leaves and wrapped tensors.
func.func @f() {
  // expected-error @below {{L1: no moe.param named @nothing}}
  %0 = moe.leaf @nothing : !moe.weight<4x4xf32>
  return
}

// -----

func.func @f() {
  // expected-error @below {{L1: no moe.param named @f}}
  %0 = moe.leaf @f : !moe.weight<4x4xf32>
  return
}

// -----

moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
func.func @f() {
  // expected-error @below {{L1: has type '!moe.weight<4x4xf32>' but @t is '!moe.table<expert[4] -> cluster[2]>'}}
  %0 = moe.leaf @t : !moe.weight<4x4xf32>
  return
}

// -----

moe.param @t : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
func.func @f() {
  // expected-error @below {{'moe.leaf' op result #0 must be a matrix for each entry of an axis; symbolic, never a buffer or total map from one axis to another, but got 'tensor<4x4xf32>'}}
  %0 = moe.leaf @t : tensor<4x4xf32>
  return
}

// -----

func.func @f(%t: tensor<4x6xf32>) {
  // expected-error @below {{L2: expected 'tensor<2x4x6xf32>', found 'tensor<4x6xf32>'}}
  %0 = moe.wrap %t : tensor<4x6xf32> to !moe.weight<4x6xf32, expert[2]>
  return
}

// -----

func.func @f(%t: tensor<4x6xbf16>) {
  // expected-error @below {{L2: expected 'tensor<4x6xf32>', found 'tensor<4x6xbf16>'}}
  %0 = moe.wrap %t : tensor<4x6xbf16> to !moe.weight<4x6xf32>
  return
}

// -----

func.func @f(%t: tensor<?x4x6xf32>) {
  // expected-error @below {{L2: expected 'tensor<2x4x6xf32>', found 'tensor<?x4x6xf32>'}}
  %0 = moe.wrap %t : tensor<?x4x6xf32> to !moe.weight<4x6xf32, expert[2]>
  return
}

// -----

func.func @f(%t: tensor<8xi64>) {
  // expected-error @below {{L2: expected 'tensor<8xi32>', found 'tensor<8xi64>'}}
  %0 = moe.wrap %t : tensor<8xi64> to !moe.table<expert[8] -> cluster[2]>
  return
}

// -----

// W1: select.
func.func @f(%a: !moe.weight<4x4xf32, cluster[3]>, %b: !moe.table<expert[8] -> cluster[2]>) {
  // expected-error @below {{W1: '!moe.table<expert[8] -> cluster[2]>' does not end where '!moe.weight<4x4xf32, cluster[3]>' is indexed}}
  %0 = moe.weight.select %a by %b : !moe.weight<4x4xf32, cluster[3]>, !moe.table<expert[8] -> cluster[2]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x4xf32, expert[8]>, %b: !moe.table<expert[8] -> cluster[2]>) {
  // expected-error @below {{W1: '!moe.table<expert[8] -> cluster[2]>' does not end where '!moe.weight<4x4xf32, expert[8]>' is indexed}}
  %0 = moe.weight.select %a by %b : !moe.weight<4x4xf32, expert[8]>, !moe.table<expert[8] -> cluster[2]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x4xf32>, %b: !moe.table<expert[8] -> cluster[2]>) {
  // expected-error @below {{W1: '!moe.table<expert[8] -> cluster[2]>' does not end where '!moe.weight<4x4xf32>' is indexed}}
  %0 = moe.weight.select %a by %b : !moe.weight<4x4xf32>, !moe.table<expert[8] -> cluster[2]>
  return
}

// -----

func.func @f(%a: tensor<4x4xf32>, %b: !moe.table<expert[8] -> cluster[2]>) {
  // expected-error @below {{expected a weight, found 'tensor<4x4xf32>'}}
  %0 = moe.weight.select %a by %b : tensor<4x4xf32>, !moe.table<expert[8] -> cluster[2]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x4xf32, cluster[2]>, %b: tensor<8xi32>) {
  // expected-error @below {{expected a table, found 'tensor<8xi32>'}}
  %0 = moe.weight.select %a by %b : !moe.weight<4x4xf32, cluster[2]>, tensor<8xi32>
  return
}

// -----

// W2 to W4: mul and add.
func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: !moe.weight<4x6xf32, expert[4]>) {
  // expected-error @below {{W2: inner sizes differ: '!moe.weight<4x6xf32, expert[4]>' times '!moe.weight<4x6xf32, expert[4]>'}}
  %0 = moe.weight.mul %a, %b : !moe.weight<4x6xf32, expert[4]>, !moe.weight<4x6xf32, expert[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: !moe.weight<6x4xf16, expert[4]>) {
  // expected-error @below {{W3: element types differ: '!moe.weight<4x6xf32, expert[4]>' and '!moe.weight<6x4xf16, expert[4]>'}}
  %0 = moe.weight.mul %a, %b : !moe.weight<4x6xf32, expert[4]>, !moe.weight<6x4xf16, expert[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: !moe.weight<6x4xf32, cluster[4]>) {
  // expected-error @below {{W4: operands are indexed differently: '!moe.weight<4x6xf32, expert[4]>' and '!moe.weight<6x4xf32, cluster[4]>'; re-index one with moe.weight.select}}
  %0 = moe.weight.mul %a, %b : !moe.weight<4x6xf32, expert[4]>, !moe.weight<6x4xf32, cluster[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: f32) {
  // expected-error @below {{expected a weight, found 'f32'}}
  %0 = moe.weight.mul %a, %b : !moe.weight<4x6xf32, expert[4]>, f32
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: !moe.weight<6x4xf32, expert[4]>) {
  // expected-error @below {{W3: sizes differ: '!moe.weight<4x6xf32, expert[4]>' plus '!moe.weight<6x4xf32, expert[4]>'}}
  %0 = moe.weight.add %a, %b : !moe.weight<4x6xf32, expert[4]>, !moe.weight<6x4xf32, expert[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf64, expert[4]>, %b: !moe.weight<4x6xf32>) {
  // expected-error @below {{W3: element types differ: '!moe.weight<4x6xf64, expert[4]>' and '!moe.weight<4x6xf32>'}}
  %0 = moe.weight.add %a, %b : !moe.weight<4x6xf64, expert[4]>, !moe.weight<4x6xf32>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: !moe.weight<4x6xf32, expert[8]>) {
  // expected-error @below {{W4: operands are indexed differently: '!moe.weight<4x6xf32, expert[4]>' and '!moe.weight<4x6xf32, expert[8]>'; re-index one with moe.weight.select}}
  %0 = moe.weight.add %a, %b : !moe.weight<4x6xf32, expert[4]>, !moe.weight<4x6xf32, expert[8]>
  return
}

// -----

func.func @f(%a: index, %b: !moe.weight<4x6xf32, expert[4]>) {
  // expected-error @below {{expected a weight, found 'index'}}
  %0 = moe.weight.add %a, %b : index, !moe.weight<4x6xf32, expert[4]>
  return
}

// -----

// W5: mix.
func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: !moe.weight<1x4xf32, expert[4]>) {
  // expected-error @below {{W5: first operand must be indexed by basis, is '!moe.weight<4x6xf32, expert[4]>'}}
  %0 = moe.weight.mix %a, %b : !moe.weight<4x6xf32, expert[4]>, !moe.weight<1x4xf32, expert[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, basis[3]>, %b: !moe.weight<1x4xf32, expert[4]>) {
  // expected-error @below {{W5: coefficients must be 1x3 and not indexed by basis, are '!moe.weight<1x4xf32, expert[4]>'}}
  %0 = moe.weight.mix %a, %b : !moe.weight<4x6xf32, basis[3]>, !moe.weight<1x4xf32, expert[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, basis[3]>, %b: !moe.weight<2x3xf32, expert[4]>) {
  // expected-error @below {{W5: coefficients must be 1x3 and not indexed by basis, are '!moe.weight<2x3xf32, expert[4]>'}}
  %0 = moe.weight.mix %a, %b : !moe.weight<4x6xf32, basis[3]>, !moe.weight<2x3xf32, expert[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, basis[3]>, %b: !moe.weight<1x3xf32, basis[3]>) {
  // expected-error @below {{W5: coefficients must be 1x3 and not indexed by basis, are '!moe.weight<1x3xf32, basis[3]>'}}
  %0 = moe.weight.mix %a, %b : !moe.weight<4x6xf32, basis[3]>, !moe.weight<1x3xf32, basis[3]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, basis[3]>, %b: !moe.weight<1x3xf16, expert[4]>) {
  // expected-error @below {{W3: element types differ: '!moe.weight<4x6xf32, basis[3]>' and '!moe.weight<1x3xf16, expert[4]>'}}
  %0 = moe.weight.mix %a, %b : !moe.weight<4x6xf32, basis[3]>, !moe.weight<1x3xf16, expert[4]>
  return
}

// -----

func.func @f(%a: tensor<3x4x6xf32>, %b: !moe.weight<1x3xf32, expert[4]>) {
  // expected-error @below {{expected a weight, found 'tensor<3x4x6xf32>'}}
  %0 = moe.weight.mix %a, %b : tensor<3x4x6xf32>, !moe.weight<1x3xf32, expert[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, basis[3]>, %b: !moe.weight<1x3xf32, expert[4]>) {
  // expected-error @below {{expected string or keyword containing one of the following enum values for attribute 'phi' [identity, silu, tanh]}}
  %0 = moe.weight.mix phi relu %a, %b : !moe.weight<4x6xf32, basis[3]>, !moe.weight<1x3xf32, expert[4]>
  return
}

// -----

// W6: scale.
func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: !moe.weight<1x6xf32, expert[4]>) {
  // expected-error @below {{W6: diagonal must be 1x4, is '!moe.weight<1x6xf32, expert[4]>'}}
  %0 = moe.weight.scale input %a, %b : !moe.weight<4x6xf32, expert[4]>, !moe.weight<1x6xf32, expert[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: !moe.weight<1x4xf32, expert[4]>) {
  // expected-error @below {{W6: diagonal must be 1x6, is '!moe.weight<1x4xf32, expert[4]>'}}
  %0 = moe.weight.scale output %a, %b : !moe.weight<4x6xf32, expert[4]>, !moe.weight<1x4xf32, expert[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: !moe.weight<6x1xf32, expert[4]>) {
  // expected-error @below {{W6: diagonal must be 1x6, is '!moe.weight<6x1xf32, expert[4]>'}}
  %0 = moe.weight.scale output %a, %b : !moe.weight<4x6xf32, expert[4]>, !moe.weight<6x1xf32, expert[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: !moe.weight<1x6xf32, expert[3]>) {
  // expected-error @below {{W4: operands are indexed differently: '!moe.weight<4x6xf32, expert[4]>' and '!moe.weight<1x6xf32, expert[3]>'; re-index one with moe.weight.select}}
  %0 = moe.weight.scale output %a, %b : !moe.weight<4x6xf32, expert[4]>, !moe.weight<1x6xf32, expert[3]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: !moe.weight<1x6xbf16, expert[4]>) {
  // expected-error @below {{W3: element types differ: '!moe.weight<4x6xf32, expert[4]>' and '!moe.weight<1x6xbf16, expert[4]>'}}
  %0 = moe.weight.scale output %a, %b : !moe.weight<4x6xf32, expert[4]>, !moe.weight<1x6xbf16, expert[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: tensor<6xf32>) {
  // expected-error @below {{expected a weight, found 'tensor<6xf32>'}}
  %0 = moe.weight.scale output %a, %b : !moe.weight<4x6xf32, expert[4]>, tensor<6xf32>
  return
}

// -----

// W7: ragged.
func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: tensor<3xi32>) {
  // expected-error @below {{W7: expected 4 sizes, found 'tensor<3xi32>'}}
  %0 = moe.weight.ragged output %a to %b : !moe.weight<4x6xf32, expert[4]>, tensor<3xi32>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: tensor<4x1xi32>) {
  // expected-error @below {{W7: expected 4 sizes, found 'tensor<4x1xi32>'}}
  %0 = moe.weight.ragged output %a to %b : !moe.weight<4x6xf32, expert[4]>, tensor<4x1xi32>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32>, %b: tensor<?xi32>) {
  // expected-error @below {{W7: expected 1 sizes, found 'tensor<?xi32>'}}
  %0 = moe.weight.ragged output %a to %b : !moe.weight<4x6xf32>, tensor<?xi32>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: i32) {
  // expected-error @below {{invalid kind of type specified: expected builtin.tensor, but found 'i32'}}
  %0 = moe.weight.ragged output %a to %b : !moe.weight<4x6xf32, expert[4]>, i32
  return
}

// -----

func.func @f(%a: f32, %b: tensor<4xi32>) {
  // expected-error @below {{expected a weight, found 'f32'}}
  %0 = moe.weight.ragged output %a to %b : f32, tensor<4xi32>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %b: tensor<4xi64>) {
  // expected-error @below {{'moe.weight.ragged' op operand #1 must be ranked tensor of 32-bit signless integer values, but got 'tensor<4xi64>'}}
  %0 = moe.weight.ragged output %a to %b : !moe.weight<4x6xf32, expert[4]>, tensor<4xi64>
  return
}

// -----

// W8: sparse.
func.func @f(%a: !moe.weight<2x6xf32, expert[4]>, %b: tensor<4x6x2xi32>) {
  // expected-error @below {{W8: values must have one row, are '!moe.weight<2x6xf32, expert[4]>'}}
  %0 = moe.weight.sparse %a at %b : !moe.weight<2x6xf32, expert[4]>, tensor<4x6x2xi32> -> !moe.weight<8x8xf32, expert[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<1x6xf32, expert[4]>, %b: tensor<6x2xi32>) {
  // expected-error @below {{W8: positions must have shape [4, 6, 2], are 'tensor<6x2xi32>'}}
  %0 = moe.weight.sparse %a at %b : !moe.weight<1x6xf32, expert[4]>, tensor<6x2xi32> -> !moe.weight<8x8xf32, expert[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<1x6xf32>, %b: tensor<6x3xi32>) {
  // expected-error @below {{W8: positions must have shape [6, 2], are 'tensor<6x3xi32>'}}
  %0 = moe.weight.sparse %a at %b : !moe.weight<1x6xf32>, tensor<6x3xi32> -> !moe.weight<8x8xf32>
  return
}

// -----

func.func @f(%a: !moe.weight<1x6xf32, expert[4]>, %b: tensor<4x6x2xi32>) {
  // expected-error @below {{W8: result '!moe.weight<8x8xf32>' is not indexed and typed as '!moe.weight<1x6xf32, expert[4]>'}}
  %0 = moe.weight.sparse %a at %b : !moe.weight<1x6xf32, expert[4]>, tensor<4x6x2xi32> -> !moe.weight<8x8xf32>
  return
}

// -----

func.func @f(%a: !moe.weight<1x6xf32, expert[4]>, %b: tensor<4x6x2xi32>) {
  // expected-error @below {{W8: result '!moe.weight<8x8xf16, expert[4]>' is not indexed and typed as '!moe.weight<1x6xf32, expert[4]>'}}
  %0 = moe.weight.sparse %a at %b : !moe.weight<1x6xf32, expert[4]>, tensor<4x6x2xi32> -> !moe.weight<8x8xf16, expert[4]>
  return
}

// -----

// W9: slice.
func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %o: index) {
  // expected-error @below {{W9: cannot take '!moe.weight<4x8xf32, expert[4]>' from the output side of '!moe.weight<4x6xf32, expert[4]>'}}
  %0 = moe.weight.slice output %a[%o] : !moe.weight<4x6xf32, expert[4]> -> !moe.weight<4x8xf32, expert[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %o: index) {
  // expected-error @below {{W9: cannot take '!moe.weight<2x6xf32, expert[4]>' from the output side of '!moe.weight<4x6xf32, expert[4]>'}}
  %0 = moe.weight.slice output %a[%o] : !moe.weight<4x6xf32, expert[4]> -> !moe.weight<2x6xf32, expert[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %o: index) {
  // expected-error @below {{W9: cannot take '!moe.weight<5x6xf32, expert[4]>' from the input side of '!moe.weight<4x6xf32, expert[4]>'}}
  %0 = moe.weight.slice input %a[%o] : !moe.weight<4x6xf32, expert[4]> -> !moe.weight<5x6xf32, expert[4]>
  return
}

// -----

func.func @f(%a: !moe.weight<4x6xf32, expert[4]>, %o: index) {
  // expected-error @below {{W9: cannot take '!moe.weight<2x6xf32>' from the input side of '!moe.weight<4x6xf32, expert[4]>'}}
  %0 = moe.weight.slice input %a[%o] : !moe.weight<4x6xf32, expert[4]> -> !moe.weight<2x6xf32>
  return
}

// -----

// Generic form: what the printed syntax cannot even say.
func.func @f(%a: tensor<4x4xf32>) {
  // expected-error @below {{'moe.weight.mul' op operand #0 must be a matrix for each entry of an axis; symbolic, never a buffer, but got 'tensor<4x4xf32>'}}
  %0 = "moe.weight.mul"(%a, %a) : (tensor<4x4xf32>, tensor<4x4xf32>) -> !moe.weight<4x4xf32>
  return
}

// -----

func.func @f(%a: !moe.weight<4x4xf32>, %d: !moe.weight<1x4xf32>) {
  // expected-error @below {{'moe.weight.scale' op requires attribute 'side'}}
  %0 = "moe.weight.scale"(%a, %d) : (!moe.weight<4x4xf32>, !moe.weight<1x4xf32>) -> !moe.weight<4x4xf32>
  return
}

// -----

func.func @f(%a: !moe.weight<4x4xf32>, %o: index) {
  // expected-error @below {{'moe.weight.slice' op attribute 'side' failed to satisfy constraint: side of a matrix: rows are inputs, columns outputs}}
  %0 = "moe.weight.slice"(%a, %o) {side = 7 : i32} : (!moe.weight<4x4xf32>, index) -> !moe.weight<4x4xf32>
  return
}

// -----

func.func @f(%a: !moe.weight<4x4xf32>) {
  // expected-error @below {{'moe.weight.add' op inferred type(s) '!moe.weight<4x4xf32>' are incompatible with return type(s) of operation '!moe.weight<4x5xf32>'}}
  // expected-error @below {{'moe.weight.add' op failed to infer returned types}}
  %0 = "moe.weight.add"(%a, %a) : (!moe.weight<4x4xf32>, !moe.weight<4x4xf32>) -> !moe.weight<4x5xf32>
  return
}

// -----

func.func @f() {
  // expected-error @below {{'moe.leaf' op attribute 'param' failed to satisfy constraint: flat symbol reference attribute}}
  %0 = "moe.leaf"() {param = @a::@b} : () -> !moe.weight<4x4xf32>
  return
}

// -----

// expected-error @below {{'moe.param' op requires attribute 'source'}}
"moe.param"() {sym_name = "w", type = !moe.weight<4x4xf32>} : () -> ()

// -----

// expected-error @below {{'moe.param' op attribute 'encoding' failed to satisfy constraint: representation of a stored weight}}
"moe.param"() {sym_name = "w", type = !moe.weight<4x4xf32>, source = #moe.seeded<0>, encoding = #moe.seeded<0>} : () -> ()

// -----
// P4: bases are mixed for many matrices.
moe.param @w : !moe.weight<8x6xf32> = #moe.seeded<1>
// expected-error @below {{P4: bases are mixed for an indexed weight, found '!moe.weight<8x6xf32>'}}
moe.param @b : !moe.weight<8x2xf32, basis[1]> = #moe.basis_mix<bases of 1 on input rank 2 of @w>

// -----
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<1>
// expected-error @below {{P4: expected 1 to 4 bases, found 5}}
moe.param @b : !moe.weight<8x2xf32, basis[5]> = #moe.basis_mix<bases of 5 on input rank 2 of @w>

// -----
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<1>
// expected-error @below {{P4: rank 7 is outside 1 ... 6}}
moe.param @b : !moe.weight<8x7xf32, basis[3]> = #moe.basis_mix<bases of 3 on input rank 7 of @w>

// -----
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<1>
// expected-error @below {{P4: this part of a mix has type '!moe.weight<2x6xf32, basis[3]>', declared '!moe.weight<8x2xf32, basis[3]>'}}
moe.param @b : !moe.weight<8x2xf32, basis[3]> = #moe.basis_mix<bases of 3 on output rank 2 of @w>

// -----
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<1>
// expected-error @below {{P4: this part of a mix has type '!moe.weight<1x3xf32, expert[4]>', declared '!moe.weight<1x2xf32, expert[4]>'}}
moe.param @b : !moe.weight<1x2xf32, expert[4]> = #moe.basis_mix<coefficients of 3 on output rank 2 of @w>

// -----
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<1>
// expected-error @below {{P4: expected noise from 0 to 1, found 1.500000e+00 : f64}}
moe.param @b : !moe.weight<1x3xf32, expert[4]> = #moe.basis_mix<coefficients of 3 on input rank 2 noise 1.5 of @w>

// -----
// P4: what experts have beside mixed bases.
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<1>
moe.param @b : !moe.weight<8x2xf32, basis[3]> = #moe.seeded<2>
moe.param @a : !moe.weight<1x3xf32, expert[4]> = #moe.seeded<3>
// expected-error @below {{P4: expected bases with the columns of '!moe.weight<8x6xf32, expert[4]>', found '!moe.weight<8x2xf32, basis[3]>'}}
moe.param @f : !moe.weight<2x6xf32, expert[4]> = #moe.mix_factor<on output @b by @a of @w>

// -----
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<1>
// expected-error @below {{P4: expected bases with the rows of '!moe.weight<8x6xf32, expert[4]>', found '!moe.weight<8x6xf32, expert[4]>'}}
moe.param @f : !moe.weight<2x6xf32, expert[4]> = #moe.mix_factor<on input @w by @w of @w>

// -----
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<1>
moe.param @b : !moe.weight<8x2xf32, basis[3]> = #moe.seeded<2>
moe.param @a : !moe.weight<1x2xf32, expert[4]> = #moe.seeded<3>
// expected-error @below {{P4: expected coefficients '!moe.weight<1x3xf32, expert[4]>', found '!moe.weight<1x2xf32, expert[4]>'}}
moe.param @f : !moe.weight<2x6xf32, expert[4]> = #moe.mix_factor<on input @b by @a of @w>

// -----
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<1>
moe.param @b : !moe.weight<8x2xf32, basis[3]> = #moe.seeded<2>
moe.param @a : !moe.weight<1x3xf32, expert[4]> = #moe.seeded<3>
// expected-error @below {{P4: this factor has type '!moe.weight<2x6xf32, expert[4]>', declared '!moe.weight<2x6xf32, expert[3]>'}}
moe.param @f : !moe.weight<2x6xf32, expert[3]> = #moe.mix_factor<on input @b by @a of @w>

// -----
moe.param @w : !moe.weight<8x6xf32, expert[4]> = #moe.seeded<1>
moe.param @b : !moe.weight<8x2xf32, basis[3]> = #moe.seeded<2>
moe.param @a : !moe.weight<1x3xf32, expert[4]> = #moe.seeded<3>
// expected-error @below {{P4: expected noise from 0 to 1, found -1.000000e+00 : f64}}
moe.param @f : !moe.weight<2x6xf32, expert[4]> = #moe.mix_factor<on input noise -1.0 @b by @a of @w>
