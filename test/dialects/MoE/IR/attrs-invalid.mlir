// RUN: moe-opt %s --split-input-file --verify-diagnostics
// Constraints N1 to N3, A1, and those of single stages of a router.

// Encodings: N1 to N3.
// expected-error @below {{N1: encoding bf16 has no groups, found group 32}}
#a = #moe.encoding<bf16 group 32>

// -----

// expected-error @below {{N1: a group must be positive, found -32}}
#a = #moe.encoding<int8 group -32>

// -----

// expected-error @below {{N2: int4 needs a group size}}
#a = #moe.encoding<int4>

// -----

// expected-error @below {{N2: mxfp4 has groups of 32, found 16}}
#a = #moe.encoding<mxfp4 group 16>

// -----

// expected-error @below {{N2: mxfp4 has groups of 32, found 0}}
#a = #moe.encoding<mxfp4>

// -----

// expected-error @below {{N3: a zero point needs int8 or int4, found f8e4m3}}
#a = #moe.encoding<f8e4m3 group 32 zero_point>

// -----

// expected-error @below {{N3: encoding mxfp4 has no scale of its own choice}}
#a = #moe.encoding<mxfp4 group 32 scale f16>

// -----

// expected-error @below {{N3: encoding f8e4m3 has no scale of its own choice}}
#a = #moe.encoding<f8e4m3 scale bf16>

// -----

// expected-error @below {{expected a format, found 'int2'}}
#a = #moe.encoding<int2>

// -----

// expected-error @below {{expected a scale type, found 'f64'}}
#a = #moe.encoding<int8 scale f64>

// -----

// expected-error @below {{expected input or output, found 'rows'}}
#a = #moe.encoding<int8 group 4 along rows>

// -----

// expected-error @below {{expected '>'}}
#a = #moe.encoding<int8 zero_point group 4>

// -----

// expected-error @below {{expected integer value}}
#a = #moe.encoding<int8 group many>

// -----

// expected-error @below {{integer value too large}}
#a = #moe.encoding<int8 group 9223372036854775808>

// -----

// Sources.
// expected-error @below {{P1: the scale of seeded values must be finite}}
#a = #moe.seeded<1 scale 1.0e999>

// -----

// expected-error @below {{expected integer value}}
#a = #moe.seeded<0.5>

// -----

// expected-error @below {{unexpected decimal integer literal for a floating point value}}
// expected-note @below {{add a trailing dot to make the literal a float}}
#a = #moe.seeded<1 scale 2>

// -----

// expected-error @below {{expected '>'}}
#a = #moe.seeded<1 by 2.0>

// -----

// expected-error @below {{expected ':'}}
#a = #moe.external<"model">

// -----

// expected-error @below {{expected string}}
#a = #moe.external<model::"w">

// -----

// expected-error @below {{expected 'by'}}
#a = #moe.mean<@w>

// -----

// expected-error @below {{expected 'rank'}}
#a = #moe.svd<input of @w minus @b by @t>

// -----

// Limits.
// expected-error @below {{R5: cannot keep 9 of 8 groups}}
#a = #moe.limit<keep 9 of 8 by max>

// -----

// expected-error @below {{R5: cannot keep 0 of 8 groups}}
#a = #moe.limit<keep 0 of 8 by max>

// -----

// expected-error @below {{R5: cannot keep 1 of -1 groups}}
#a = #moe.limit<keep 1 of -1 by max>

// -----

// expected-error @below {{expected max, top2_sum, sum or logits, found 'mean'}}
#a = #moe.limit<keep 1 of 8 by mean>

// -----

// expected-error @below {{expected neg_inf or zero, found 'one'}}
#a = #moe.limit<keep 1 of 8 by max masked one>

// -----

// Choices.
// expected-error @below {{R3: must choose at least 1, found 0}}
#a = #moe.choice<top_k 0>

// -----

// expected-error @below {{R3: must choose at least 1, found -2}}
#a = #moe.choice<hash -2>

// -----

// expected-error @below {{top_p needs 'at' value}}
#a = #moe.choice<top_p 2>

// -----

// expected-error @below {{top_k takes no 'at' value}}
#a = #moe.choice<top_k 2 at 0.5>

// -----

// expected-error @below {{hash takes no 'at' value}}
#a = #moe.choice<hash 2 at 0.5>

// -----

// expected-error @below {{'at' value must be finite}}
#a = #moe.choice<threshold 2 at -1.0e999>

// -----

// expected-error @below {{top_p needs a value in (0, 1], found 0}}
#a = #moe.choice<top_p 2 at 0.0>

// -----

// expected-error @below {{top_p needs a value in (0, 1], found 1.5}}
#a = #moe.choice<top_p 2 at 1.5>

// -----

// expected-error @below {{expert_choice needs a positive factor, found 0}}
#a = #moe.choice<expert_choice 2 at 0.0>

// -----

// expected-error @below {{sparsemixer needs a jitter of at least 0, found -1.0}}
#a = #moe.choice<sparsemixer 2 at -0.1>

// -----

// expected-error @below {{expected a choice rule, found 'best'}}
#a = #moe.choice<best 2>

// -----

// Gate weights.
// expected-error @below {{eps and scale must be finite}}
#a = #moe.gates<scores scale 1.0e999>

// -----

// expected-error @below {{eps and scale must be finite}}
#a = #moe.gates<scores, l1 eps 1.0e999>

// -----

// expected-error @below {{eps must not be negative}}
#a = #moe.gates<scores, l1 eps -1.0e-6>

// -----

// expected-error @below {{eps without a norm}}
#a = #moe.gates<scores eps 1.0e-6>

// -----

// expected-error @below {{l1_floor needs a floor (eps)}}
#a = #moe.gates<scores, l1_floor>

// -----

// expected-error @below {{l1_floor needs a floor (eps)}}
#a = #moe.gates<scores, l1_floor eps 0.0>

// -----

// expected-error @below {{expected a gate source, found 'logits'}}
#a = #moe.gates<logits>

// -----

// expected-error @below {{expected a norm, found 'l3'}}
#a = #moe.gates<scores, l3>

// -----

// Capacity.
// expected-error @below {{capacity factor must be positive}}
#a = #moe.capacity<0.0 drop last>

// -----

// expected-error @below {{capacity factor must be positive}}
#a = #moe.capacity<1.0e999 drop last>

// -----

// expected-error @below {{at_least must not be negative, found -1}}
#a = #moe.capacity<1.0 at_least -1 drop last>

// -----

// expected-error @below {{expected last or lowest, found 'first'}}
#a = #moe.capacity<1.0 drop first>

// -----

// Special experts.
// expected-error @below {{R20: a count of special experts must not be negative and fits i32, found -1}}
#a = #moe.specials<zero 2 identity -1>

// -----

// expected-error @below {{R20: a count of special experts must not be negative and fits i32, found 9223372036854775807}}
#a = #moe.specials<zero 1 constant 9223372036854775807>

// -----

// expected-error @below {{R20: special experts without any}}
#a = #moe.specials<>

// -----

// expected-error @below {{R20: special experts without any}}
#a = #moe.specials<zero 0>

// -----

// Activations: A1.
// expected-error @below {{A1: alpha is for sigmoid_alpha only, found silu}}
#a = #moe.activation<silu alpha 1.5>

// -----

// expected-error @below {{A1: alpha, clamp and offset must be finite}}
#a = #moe.activation<silu offset -1.0e999>

// -----

// expected-error @below {{A1: clamp must be positive}}
#a = #moe.activation<silu clamp 0.0>

// -----

// expected-error @below {{expected an activation, found 'swish'}}
#a = #moe.activation<swish>

// -----

// No such attribute.
// expected-error @below {{unknown attribute `router` in dialect `moe`}}
#a = #moe.router<1>
