/* Offsets that callers, compiled code and the runtime agree on, for C and C++ alike.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions.
 *
 * Included once by each language, with MOEC_ABI_LAYOUT_ASSERT(condition) defined. */
MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_status_t) == 4);
MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_error_sink) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_error_sink, text) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_error_sink, capacity) == 8);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_call) == 72);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_call, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_call, abi_version) == 4);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_call, stream) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_call, workspace) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_call, workspace_bytes) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_call, error) == 32);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_call, binding) == 48);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_call, executor) == 56);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_call, isa) == 64);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_executor) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_executor, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_executor, threads) == 4);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_executor, context) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_executor, parallel_for) == 16);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_layer_binding) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_layer_binding, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_layer_binding, count) == 4);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_layer_binding, tensors) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_layer_binding, epoch) == 16);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_argument) == 88);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_argument, name) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_argument, code) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_argument, bits) == 9);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_argument, role) == 10);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_argument, rank) == 11);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_argument, shape) == 16);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_entry) == 40);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_entry, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_entry, count) == 4);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_entry, name) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_entry, arguments) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_entry, variants) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_entry, variant_count) == 32);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_variant) == 32);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_variant, name) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_variant, features) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_variant, kernel) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_variant, workspace) == 24);

/* DLPack's own layout. */
MOEC_ABI_LAYOUT_ASSERT(sizeof(DLTensor) == 48);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLTensor, data) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLTensor, device) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLTensor, ndim) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLTensor, dtype) == 20);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLTensor, shape) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLTensor, strides) == 32);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLTensor, byte_offset) == 40);
MOEC_ABI_LAYOUT_ASSERT(sizeof(DLDataType) == 4);
