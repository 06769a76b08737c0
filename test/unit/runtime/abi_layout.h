/* Sizes, offsets and numbers that callers, compiled code and the runtime agree on, for C and C++ alike.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions.
 *
 * Included once by each language, with MOEC_ABI_LAYOUT_ASSERT(condition) defined. A change of a number here is a change of the ABI:
 * docs/artifact.md says what it takes. test/hygiene/abi_layout.py sees to it that nothing of the headers is missing. */
MOEC_ABI_LAYOUT_ASSERT(MOERT_ABI_VERSION == 6u);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_status_t) == 4);
MOEC_ABI_LAYOUT_ASSERT(MOERT_OK == 0);
MOEC_ABI_LAYOUT_ASSERT(MOERT_INVALID_ARGUMENT == 1);
MOEC_ABI_LAYOUT_ASSERT(MOERT_WORKSPACE_TOO_SMALL == 2);
MOEC_ABI_LAYOUT_ASSERT(MOERT_INCOMPATIBLE == 3);
MOEC_ABI_LAYOUT_ASSERT(MOERT_NOT_FOUND == 4);
MOEC_ABI_LAYOUT_ASSERT(MOERT_IO_ERROR == 5);
MOEC_ABI_LAYOUT_ASSERT(MOERT_OUT_OF_MEMORY == 6);
MOEC_ABI_LAYOUT_ASSERT(MOERT_INTERNAL == 7);
MOEC_ABI_LAYOUT_ASSERT(MOERT_DEVICE_ERROR == 8);
MOEC_ABI_LAYOUT_ASSERT(MOERT_UNAVAILABLE == 9);

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

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_layer_binding) == 40);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_layer_binding, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_layer_binding, count) == 4);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_layer_binding, tensors) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_layer_binding, epoch) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_layer_binding, paging) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_layer_binding, exchange) == 32);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_paging) == 40);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging, context) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging, acquire) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging, release) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging, prefetch) == 32);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_routing) == 88);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_routing, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_routing, x_type) == 4);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_routing, y_type) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_routing, chunks) == 12);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_routing, x) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_routing, ids) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_routing, clusters) == 32);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_routing, weights) == 40);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_routing, y) == 48);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_routing, tokens) == 56);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_routing, choices) == 64);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_routing, x_width) == 72);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_routing, y_width) == 80);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_received) == 40);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_received, count) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_received, rows) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_received, ids) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_received, weights) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_received, results) == 32);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_exchange) == 80);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange, rank) == 4);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange, ranks) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange, context) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange, begin) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange, dispatch) == 32);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange, receive) == 40);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange, send_back) == 48);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange, collect) == 56);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange, all_reduce) == 64);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange, fail) == 72);

MOEC_ABI_LAYOUT_ASSERT(MOERT_MAX_CHANNELS == 64);
MOEC_ABI_LAYOUT_ASSERT(MOERT_MAX_RANKS == 4096);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_all_to_all) == 48);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_all_to_all, send) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_all_to_all, send_bytes) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_all_to_all, send_offsets) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_all_to_all, receive) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_all_to_all, receive_bytes) == 32);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_all_to_all, receive_offsets) == 40);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_communicator) == 104);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator, rank) == 4);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator, ranks) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator, name) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator, context) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator, start_all_to_all) == 32);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator, test) == 40);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator, wait) == 48);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator, all_gather) == 56);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator, reduce_scatter) == 64);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator, barrier) == 72);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator, abort) == 80);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator, last_error) == 88);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator, destroy) == 96);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_communicator_options) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator_options, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator_options, deadline) == 4);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator_options, link_latency) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_communicator_options, link_bytes_per_second) == 16);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_model_options) == 64);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_model_options, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_model_options, lookahead) == 4);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_model_options, memory_budget) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_model_options, eviction) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_model_options, predictor) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_model_options, idle_steps) == 32);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_model_options, device) == 40);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_model_options, communicator) == 48);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_model_options, placement) == 56);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_exchange_statistics) == 56);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange_statistics, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange_statistics, steps) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange_statistics, tokens) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange_statistics, rows) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange_statistics, expert_rows) == 32);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange_statistics, row_bytes) == 40);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_exchange_statistics, other_bytes) == 48);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_paging_statistics) == 128);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging_statistics, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging_statistics, hits) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging_statistics, late) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging_statistics, misses) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging_statistics, reads) == 32);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging_statistics, reads_ahead) == 40);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging_statistics, wasted) == 48);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging_statistics, failures) == 56);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging_statistics, demoted) == 64);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging_statistics, bytes_read) == 72);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging_statistics, resident_bytes) == 80);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging_statistics, slot_bytes) == 88);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging_statistics, base_bytes) == 96);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging_statistics, stall_seconds) == 104);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging_statistics, read_seconds) == 112);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_paging_statistics, notice) == 120);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_regroup_options) == 104);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_options, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_options, threads) == 4);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_options, archive) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_options, directory) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_options, original) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_options, families) == 32);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_options, profile) == 40);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_options, cache) == 48);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_options, period_seconds) == 56);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_options, drift) == 64);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_options, least_tokens) == 72);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_options, alpha) == 80);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_options, min_gain) == 88);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_options, max_error) == 96);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_regroup_statistics) == 96);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_statistics, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_statistics, attempts) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_statistics, accepted) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_statistics, failures) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_statistics, tokens) == 32);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_statistics, dropped) == 40);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_statistics, layers_regrouped) == 48);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_statistics, epoch) == 56);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_statistics, drift) == 64);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_statistics, seconds) == 72);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_statistics, load_seconds) == 80);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_regroup_statistics, is_working) == 88);

MOEC_ABI_LAYOUT_ASSERT(MOERT_WORKSPACE_ALIGNMENT == 64);
MOEC_ABI_LAYOUT_ASSERT(MOERT_DEVICE_WORKSPACE_ALIGNMENT == 256);
MOEC_ABI_LAYOUT_ASSERT(MOERT_MAX_RANK == 8);
MOEC_ABI_LAYOUT_ASSERT(MOERT_MAX_ARGUMENTS == 64);
MOEC_ABI_LAYOUT_ASSERT(MOERT_MAX_ACQUIRED == 8);
MOEC_ABI_LAYOUT_ASSERT(MOERT_MAX_CHUNKS == 16);
MOEC_ABI_LAYOUT_ASSERT(MOERT_MAX_THREADS == 1024);
MOEC_ABI_LAYOUT_ASSERT(MOERT_DYNAMIC == -1);

MOEC_ABI_LAYOUT_ASSERT(MOERT_INPUT == 0);
MOEC_ABI_LAYOUT_ASSERT(MOERT_OUTPUT == 1);
MOEC_ABI_LAYOUT_ASSERT(MOERT_BINDING == 2);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_argument) == 88);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_argument, name) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_argument, code) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_argument, bits) == 9);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_argument, role) == 10);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_argument, rank) == 11);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_argument, shape) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_argument, contiguous) == 80);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_argument, alignment) == 84);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_entry) == 40);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_entry, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_entry, count) == 4);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_entry, name) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_entry, arguments) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_entry, variants) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_entry, variant_count) == 32);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_variant) == 40);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_variant, name) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_variant, features) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_variant, kernel) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_variant, workspace) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_variant, device) == 32);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_device_image) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_image, name) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_image, image) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_image, bytes) == 16);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_kernel_attributes) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_kernel_attributes, cluster) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_kernel_attributes, is_dependent) == 12);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_device_runtime) == 32);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_runtime, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_runtime, type) == 4);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_runtime, name) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_runtime, capability) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_runtime, run) == 24);

MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_device_code) == 72);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_code, size) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_code, capability) == 4);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_code, is_exact) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_code, image_count) == 12);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_code, images) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_code, kernel_count) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_code, kernel_names) == 32);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_code, shared_bytes) == 40);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_code, state) == 48);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_code, runtime) == 56);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_device_code, attributes) == 64);

/* TVMFFIAny of apache-tvm-ffi 0.1. */
MOEC_ABI_LAYOUT_ASSERT(sizeof(moert_tvm_ffi_value) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_tvm_ffi_value, type) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_tvm_ffi_value, reserved) == 4);
MOEC_ABI_LAYOUT_ASSERT(offsetof(moert_tvm_ffi_value, content) == 8);
MOEC_ABI_LAYOUT_ASSERT(sizeof(((moert_tvm_ffi_value *)0)->content) == 8);

/* Bits that libraries carry. */
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_SSE3 == UINT64_C(1) << 0);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_SSSE3 == UINT64_C(1) << 1);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_SSE4_1 == UINT64_C(1) << 2);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_SSE4_2 == UINT64_C(1) << 3);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_POPCNT == UINT64_C(1) << 4);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_CX16 == UINT64_C(1) << 5);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_SAHF == UINT64_C(1) << 6);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AVX == UINT64_C(1) << 7);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AVX2 == UINT64_C(1) << 8);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_FMA == UINT64_C(1) << 9);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_F16C == UINT64_C(1) << 10);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_BMI == UINT64_C(1) << 11);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_BMI2 == UINT64_C(1) << 12);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_MOVBE == UINT64_C(1) << 13);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_LZCNT == UINT64_C(1) << 14);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AVX512F == UINT64_C(1) << 15);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AVX512BW == UINT64_C(1) << 16);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AVX512CD == UINT64_C(1) << 17);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AVX512DQ == UINT64_C(1) << 18);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AVX512VL == UINT64_C(1) << 19);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AVX512IFMA == UINT64_C(1) << 20);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AVX512VBMI == UINT64_C(1) << 21);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AVX512VBMI2 == UINT64_C(1) << 22);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_GFNI == UINT64_C(1) << 23);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AVX512VNNI == UINT64_C(1) << 24);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AVX512BITALG == UINT64_C(1) << 25);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AVX512VPOPCNTDQ == UINT64_C(1) << 26);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AVX512FP16 == UINT64_C(1) << 27);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AMX_BF16 == UINT64_C(1) << 28);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AMX_TILE == UINT64_C(1) << 29);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AMX_INT8 == UINT64_C(1) << 30);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AVXVNNI == UINT64_C(1) << 31);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_AVX512BF16 == UINT64_C(1) << 32);
MOEC_ABI_LAYOUT_ASSERT(MOERT_CPU_FEATURE_COUNT == 33);

/* DLPack's own layout and numbers. */
MOEC_ABI_LAYOUT_ASSERT(sizeof(DLTensor) == 48);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLTensor, data) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLTensor, device) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLTensor, ndim) == 16);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLTensor, dtype) == 20);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLTensor, shape) == 24);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLTensor, strides) == 32);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLTensor, byte_offset) == 40);
MOEC_ABI_LAYOUT_ASSERT(sizeof(DLDevice) == 8);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLDevice, device_type) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLDevice, device_id) == 4);
MOEC_ABI_LAYOUT_ASSERT(sizeof(DLDataType) == 4);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLDataType, code) == 0);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLDataType, bits) == 1);
MOEC_ABI_LAYOUT_ASSERT(offsetof(DLDataType, lanes) == 2);

MOEC_ABI_LAYOUT_ASSERT(kDLCPU == 1);
MOEC_ABI_LAYOUT_ASSERT(kDLCUDA == 2);
MOEC_ABI_LAYOUT_ASSERT(kDLCUDAHost == 3);
MOEC_ABI_LAYOUT_ASSERT(kDLInt == 0);
MOEC_ABI_LAYOUT_ASSERT(kDLUInt == 1);
MOEC_ABI_LAYOUT_ASSERT(kDLFloat == 2);
MOEC_ABI_LAYOUT_ASSERT(kDLBfloat == 4);
MOEC_ABI_LAYOUT_ASSERT(kDLBool == 6);
