/* The one header that compiled code, the runtime and the compiler share.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions.
 *
 * For each public function @f of a compiled module the library exports
 *   int32_t     moec_f(const moert_call *, DLTensor *const *args, int32_t count);
 *   int32_t     moec_f_workspace(const moert_call *, DLTensor *const *args, int32_t count, uint64_t *bytes);
 *   int         __tvm_ffi_f(void *, const moert_tvm_ffi_value *args, int32_t count, moert_tvm_ffi_value *result);
 *   int         __tvm_ffi_f_workspace(the same);
 * the latter two for tvm-ffi (docs/artifact.md), and once
 *   const char *moec_manifest(void);      JSON, described in docs/artifact.md
 *   uint32_t    moec_abi_version(void);   MOERT_ABI_VERSION the library was made for
 *
 * `args` are the function's inputs, then its results: the caller allocates results (destination passing). Weights and
 * tables that belong to a layer come through `call->binding`. Nothing is allocated inside, no thread is started, nothing but
 * what the CPU can do is kept after the call, and any number of threads may call with workspaces of their own. A library of
 * device code also keeps what it loaded onto each device, until `void moec_release_devices(void)`, which it exports, is called. */
#ifndef MOERT_ABI_H
#define MOERT_ABI_H

#include <stddef.h>
#include <stdint.h>

#include "moert/dlpack.h"

#ifdef __cplusplus
extern "C" {
#endif

/** major << 16 | minor. A library of another major, or of a newer minor than the runtime, is refused. */
#define MOERT_ABI_VERSION ((0u << 16) | 6u)

/** Results of every call. */
typedef enum {
  MOERT_OK = 0,
  MOERT_INVALID_ARGUMENT = 1,   /**< the caller's mistake: count, type, rank, shape, stride, device, null */
  MOERT_WORKSPACE_TOO_SMALL = 2,
  MOERT_INCOMPATIBLE = 3,       /**< versions, manifest or layout do not fit */
  MOERT_NOT_FOUND = 4,
  MOERT_IO_ERROR = 5,
  MOERT_OUT_OF_MEMORY = 6,
  MOERT_INTERNAL = 7,
  MOERT_DEVICE_ERROR = 8,       /**< a device or its driver failed; the message has the driver's words */
  MOERT_UNAVAILABLE = 9         /**< another rank failed, left, differs, or did not answer in time; the message names it */
} moert_status_t;

/** Where an error message goes: NUL-terminated, cut to `capacity`. Null text or capacity 0 means no message. */
typedef struct {
  char *text;
  size_t capacity;
} moert_error_sink;

/** Who brings bases of one layer's clusters into the places of its pools, for code that says which ones it is about to read
 * (moe-compile --page-bases). Any number of threads may call. */
typedef struct {
  uint32_t size;              /**< sizeof(moert_paging); unknown trailing fields are ignored */
  void *context;
  /** Waits until the bases of all `count` clusters are in their places and holds them there: slots[c] is the place of each of them,
   * -1 of every other cluster of the layer. -1 among `clusters` is none; order and repeats do not matter. All or none: who holds
   * some already asks for no more, so that calls cannot wait for each other in a ring. Returns a moert_status_t with a message;
   * after an error nothing is held. */
  int32_t (*acquire)(void *context, const int32_t *clusters, int64_t count, int32_t *slots, const moert_error_sink *error);
  /** Gives back what an acquire that returned MOERT_OK filled `slots` with. */
  void (*release)(void *context, const int32_t *slots);
  /** A hint: the layer `ahead` layers later will probably meet these clusters in this step; 0: this layer is about to acquire them.
   * Does not wait. */
  void (*prefetch)(void *context, int32_t ahead, const int32_t *clusters, int64_t count);
} moert_paging;

/** A type of elements as one number, of DLPack's code and the bits. */
#define MOERT_ELEMENT(code, bits) ((int32_t)(code) << 8 | (int32_t)(bits))
/** Into how many chunks the tokens of one layer may be parted: chunk c of n is [tokens * c / n, tokens * (c + 1) / n). */
#define MOERT_MAX_CHUNKS 16

/** Tokens of one layer, what they chose, and where their results go. All is contiguous and stays as it is until the results are
 * collected. */
typedef struct {
  uint32_t size;              /**< sizeof(moert_routing); unknown trailing fields are ignored */
  int32_t x_type;             /**< MOERT_ELEMENT of `x`: whole bytes */
  int32_t y_type;             /**< and of `y`: f32, f16 or bf16 */
  int32_t chunks;             /**< 1 to MOERT_MAX_CHUNKS */
  const void *x;              /**< tokens x x_width */
  const int32_t *ids;         /**< tokens x choices: experts, -1 for none */
  const int32_t *clusters;    /**< tokens x choices: the cluster of each; null: the ids */
  const float *weights;       /**< tokens x choices: gate weights */
  void *y;                    /**< tokens x y_width */
  int64_t tokens;
  int64_t choices;
  int64_t x_width;
  int64_t y_width;
} moert_routing;

/** Rows that a rank computes of one chunk: in order of the ranks that they come from, then of their tokens there. */
typedef struct {
  int64_t count;
  const void *rows;           /**< count x x_width */
  const int32_t *ids;         /**< count x choices; -1 of a choice that another rank computes */
  const float *weights;       /**< count x choices; 0 of these */
  void *results;              /**< count x y_width, which the code writes */
} moert_received;

/** Who brings rows to the ranks that compute them, and results back. Every rank makes the same calls in the same order, from one
 * thread at a time: begin, then for each chunk, in their order, dispatch, receive, send_back and collect, those of different chunks in any
 * order; or all_reduce. Each returns a moert_status_t, with a message that names rank and operation; after an error of any rank
 * there is nothing but errors. */
typedef struct {
  uint32_t size;              /**< sizeof(moert_exchange); unknown trailing fields are ignored */
  int32_t rank;
  int32_t ranks;
  void *context;
  int32_t (*begin)(void *context, const moert_routing *routing, const moert_error_sink *error);
  /** Begins to send the rows of a chunk, each once to every rank that computes one of its choices. Does not wait for rows. */
  int32_t (*dispatch)(void *context, int64_t chunk, const moert_error_sink *error);
  /** Waits for the rows of a chunk. They, and the place for results, stay until send_back. */
  int32_t (*receive)(void *context, int64_t chunk, moert_received *received, const moert_error_sink *error);
  /** Begins to send back the results of a chunk. Does not wait. */
  int32_t (*send_back)(void *context, int64_t chunk, const moert_error_sink *error);
  /** Waits for the results of a chunk, whose rows of `y` become their sums, added in f32 and in the ranks' order: 0 of a token without
   * choices. */
  int32_t (*collect)(void *context, int64_t chunk, const moert_error_sink *error);
  /** Replaces values by their sums over all ranks, added in the ranks' order. */
  int32_t (*all_reduce)(void *context, float *values, int64_t count, const moert_error_sink *error);
  /** Tells the others that this rank cannot go on, and why. */
  void (*fail)(void *context, const char *reason);
} moert_exchange;

/** What one layer brings to an entry that many layers share: pools of weights and tables, in the order of the entry's
 * arguments of role MOERT_BINDING. A binding may end in front of `paging`, or of `exchange`. A binding is one epoch: who replaces
 * weights or regroups experts makes another binding and leaves this one as it is until no call uses it. docs/binding.md names the tensors. */
typedef struct {
  uint32_t size;              /**< sizeof(moert_layer_binding); unknown trailing fields are ignored */
  int32_t count;
  DLTensor *const *tensors;
  uint64_t epoch;
  const moert_paging *paging; /**< null: all clusters are in the places that tables of slots name; device code takes no other */
  const moert_exchange *exchange; /**< null: one rank computes everything; device code takes no other */
} moert_layer_binding;

/** Whose threads an entry may use. moert/executor.h makes one; a host with threads of its own fills in one of its own. */
typedef struct {
  uint32_t size;              /**< sizeof(moert_executor); unknown trailing fields are ignored */
  int32_t threads;            /**< how many threads share the work, the caller's among them; up to 1: sequential */
  void *context;
  /** Calls body(data, first, last) for ranges that together are [0, count), each once, in any order, on any threads;
   * returns when all have returned. grain: fewest items worth a call of their own. */
  void (*parallel_for)(void *context, int64_t count, int64_t grain,
                       void (*body)(void *data, int64_t first, int64_t last), void *data);
} moert_executor;

/** What the caller hands in besides tensors. Set `size` to sizeof(moert_call); unknown trailing fields are ignored, and a
 * call may end in front of `executor`, or of any field behind it, which is then null. */
typedef struct {
  uint32_t size;
  uint32_t abi_version;       /**< MOERT_ABI_VERSION the caller was compiled with */
  void *stream;               /**< CUDA: a CUstream of the arguments' device, null its legacy default stream; CPU: null */
  /** Scratch memory where the arguments are, at least what _workspace said, aligned to MOERT_WORKSPACE_ALIGNMENT on CPU and
   * MOERT_DEVICE_WORKSPACE_ALIGNMENT on a device. */
  void *workspace;
  uint64_t workspace_bytes;
  moert_error_sink error;
  const moert_layer_binding *binding; /**< null for an entry without arguments of role MOERT_BINDING */
  const moert_executor *executor;     /**< null: all work is done by the calling thread */
  const char *isa;            /**< variant to run, for tests and measurements; null: the best that CPU or device can run */
} moert_call;

/** Alignment of a workspace, in bytes. */
#define MOERT_WORKSPACE_ALIGNMENT 64
#define MOERT_DEVICE_WORKSPACE_ALIGNMENT 256
/** Highest rank of an argument. */
#define MOERT_MAX_RANK 8
/** Most arguments of one entry. */
#define MOERT_MAX_ARGUMENTS 64
/** An extent that differs from call to call and is tied to no other. A number below it names a class of extents that
 * must be equal within one call: two arguments with shape[0] == -2 have the same number of tokens. */
#define MOERT_DYNAMIC (-1)

/** Who hands an argument in. */
typedef enum {
  MOERT_INPUT = 0,
  MOERT_OUTPUT = 1,
  MOERT_BINDING = 2           /**< read through the call's binding */
} moert_role_t;

/** One argument as the entry expects it. */
typedef struct {
  const char *name;
  uint8_t code;               /**< DLDataTypeCode */
  uint8_t bits;
  uint8_t role;               /**< moert_role_t */
  uint8_t rank;
  int64_t shape[MOERT_MAX_RANK]; /**< an extent, MOERT_DYNAMIC, or a class below it */
  uint8_t contiguous;         /**< 1: elements lie one behind the other in order; 2: those of each place in the first extent do */
  uint32_t alignment;         /**< bytes that the data's address is a multiple of; 0: an element's */
} moert_argument;

/** What code may need of the CPU, with the operating system's consent: bits of moert_variant.features. x86-64-v3 is all up
 * to LZCNT, x86-64-v4 all up to AVX512VL, sapphirerapids is all. Other architectures have none. */
#define MOERT_CPU_SSE3 (UINT64_C(1) << 0)
#define MOERT_CPU_SSSE3 (UINT64_C(1) << 1)
#define MOERT_CPU_SSE4_1 (UINT64_C(1) << 2)
#define MOERT_CPU_SSE4_2 (UINT64_C(1) << 3)
#define MOERT_CPU_POPCNT (UINT64_C(1) << 4)
#define MOERT_CPU_CX16 (UINT64_C(1) << 5)
#define MOERT_CPU_SAHF (UINT64_C(1) << 6)
#define MOERT_CPU_AVX (UINT64_C(1) << 7)
#define MOERT_CPU_AVX2 (UINT64_C(1) << 8)
#define MOERT_CPU_FMA (UINT64_C(1) << 9)
#define MOERT_CPU_F16C (UINT64_C(1) << 10)
#define MOERT_CPU_BMI (UINT64_C(1) << 11)
#define MOERT_CPU_BMI2 (UINT64_C(1) << 12)
#define MOERT_CPU_MOVBE (UINT64_C(1) << 13)
#define MOERT_CPU_LZCNT (UINT64_C(1) << 14)
#define MOERT_CPU_AVX512F (UINT64_C(1) << 15)
#define MOERT_CPU_AVX512BW (UINT64_C(1) << 16)
#define MOERT_CPU_AVX512CD (UINT64_C(1) << 17)
#define MOERT_CPU_AVX512DQ (UINT64_C(1) << 18)
#define MOERT_CPU_AVX512VL (UINT64_C(1) << 19)
#define MOERT_CPU_AVX512IFMA (UINT64_C(1) << 20)
#define MOERT_CPU_AVX512VBMI (UINT64_C(1) << 21)
#define MOERT_CPU_AVX512VBMI2 (UINT64_C(1) << 22)
#define MOERT_CPU_GFNI (UINT64_C(1) << 23)
#define MOERT_CPU_AVX512VNNI (UINT64_C(1) << 24)
#define MOERT_CPU_AVX512BITALG (UINT64_C(1) << 25)
#define MOERT_CPU_AVX512VPOPCNTDQ (UINT64_C(1) << 26)
#define MOERT_CPU_AVX512FP16 (UINT64_C(1) << 27)
#define MOERT_CPU_AMX_BF16 (UINT64_C(1) << 28)
#define MOERT_CPU_AMX_TILE (UINT64_C(1) << 29)
#define MOERT_CPU_AMX_INT8 (UINT64_C(1) << 30)
#define MOERT_CPU_AVXVNNI (UINT64_C(1) << 31)
#define MOERT_CPU_AVX512BF16 (UINT64_C(1) << 32)
/** How many there are, and what LLVM calls them, in the order of the bits. */
#define MOERT_CPU_FEATURE_COUNT 33
#define MOERT_CPU_FEATURE_NAMES                                                                                        \
  {"sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "cx16", "sahf", "avx", "avx2", "fma",                                \
   "f16c", "bmi", "bmi2", "movbe", "lzcnt", "avx512f",                                                                 \
   "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512ifma", "avx512vbmi",                                         \
   "avx512vbmi2", "gfni", "avx512vnni", "avx512bitalg", "avx512vpopcntdq", "avx512fp16",                               \
   "amx-bf16", "amx-tile", "amx-int8", "avxvnni", "avx512bf16"}

/** Device code of all kernels of a variant in one form. */
typedef struct {
  const char *name;           /**< "PTX" or "cubin", for messages */
  const void *image;
  uint64_t bytes;             /**< of PTX: with the NUL at its end */
} moert_device_image;

/** How a kernel is launched besides its grid. */
typedef struct {
  uint32_t cluster[3];        /**< blocks of a cluster in x, y, z; 0, 0, 0: what the kernel itself says, or none */
  uint32_t is_dependent;      /**< 1: may start before the kernel in front of it has ended (griddepcontrol.wait) */
} moert_kernel_attributes;

struct moert_variant;

/** What the check in front of an entry asks of one kind of device. Code of devices names it, so that libraries without
 * device code need nothing of it. Each function returns a moert_status_t, and a message of up to `capacity` bytes. */
typedef struct {
  uint32_t size;
  int32_t type;               /**< DLDeviceType of all tensors and of the workspace */
  const char *name;           /**< "CUDA" */
  /** What device `device` can run, in the terms of moert_device_code.capability. */
  int32_t (*capability)(int32_t device, int32_t *capability, char *message, size_t capacity);
  /** Runs a variant's kernel, whose last descriptor is at `*context`, in the stream. */
  int32_t (*run)(const struct moert_variant *variant, int32_t device, const moert_call *call, void **descriptors,
                 void **context, char *message, size_t capacity);
} moert_device_runtime;

/** Device code of a variant for one architecture: emitted by the compiler, all but `*state` as constant data. */
typedef struct {
  uint32_t size;
  int32_t capability;         /**< 80, 90: major * 10 + minor */
  uint8_t is_exact;           /**< 1: devices of this capability alone run it (sm_90a); 0: and newer ones */
  int32_t image_count;
  const moert_device_image *images; /**< the first that the driver takes is loaded: a cubin, if there is one, then PTX */
  int32_t kernel_count;
  const char *const *kernel_names;
  const uint32_t *shared_bytes;     /**< most dynamic shared memory that each kernel is launched with */
  void **state;               /**< where the runtime keeps what it loaded; null at first */
  const moert_device_runtime *runtime;       /**< &moert_cuda_runtime */
  const moert_kernel_attributes *attributes; /**< one for each kernel; null: all zero */
} moert_device_code;

/** One entry compiled for one instruction set, or for one architecture of devices. */
typedef struct moert_variant {
  const char *name;           /**< "portable", "x86-64-v3", "x86-64-v4", or a CPU that was asked for; "sm_80", "sm_90a" */
  uint64_t features;          /**< MOERT_CPU_* that it needs */
  /** Compiled body. `descriptors` has one pointer for each argument, then one for the workspace (rank 1, i8), each to
   * MLIR's memref descriptor { void *allocated; void *aligned; int64_t offset; int64_t sizes[rank], strides[rank]; }, and
   * then the call's executor, or null, the call's paging and its exchange, for the functions below; of device code what it hands to
   * moert_cuda_launch as `context`. */
  void (*kernel)(void **descriptors);
  /** One pointer for each argument, whose shapes alone are read (data may be null), then an int64_t * that receives the
   * bytes. */
  void (*workspace)(void **descriptors);
  /** Null of CPU code. Kernel and workspace of device code are code of the CPU, for any of its architecture; addresses in
   * descriptors are then the device's. */
  const moert_device_code *device;
} moert_variant;

/** What a compiled entry is: emitted by the compiler as constant data, read by the check in front of the kernel. */
typedef struct {
  uint32_t size;
  int32_t count;
  const char *name;
  /** Inputs and bindings in any order, then outputs. */
  const moert_argument *arguments;
  /** The plainest first: of those that this CPU, or the arguments' device, can run the last one runs. All are CPU code, or all
   * are code of one kind of device. */
  const moert_variant *variants;
  int32_t variant_count;
} moert_entry;

/** Checks a call and runs it; linked into every library, hidden. */
int32_t moert_entry_call(const moert_entry *entry, const moert_call *call, DLTensor *const *args, int32_t count);
/** Checks shapes and says how many bytes of workspace the call needs. */
int32_t moert_entry_workspace(const moert_entry *entry, const moert_call *call, DLTensor *const *args, int32_t count,
                              uint64_t *bytes);
/** An argument or a result of tvm-ffi's calling convention: its TVMFFIAny. */
typedef struct {
  int32_t type;               /**< one of its type numbers */
  uint32_t reserved;          /**< 0 */
  union {
    int64_t number;
    void *pointer;
  } content;
} moert_tvm_ffi_value;

/** The same two behind tvm-ffi's calling convention; linked into every library, hidden. `args` are the tensors of a call, then
 * the workspace (a tensor of any type), the layer binding and the executor (pointers), each of which may be None, and the last
 * ones left out. Returns 0, or -1 and raises the message by TVMFFIErrorSetRaisedFromCStr if the process has that. The second
 * answers the bytes of a workspace at any address. `handle` is not looked at. */
int32_t moert_entry_tvm_ffi(const moert_entry *entry, void *handle, const moert_tvm_ffi_value *args, int32_t count,
                            moert_tvm_ffi_value *result);
int32_t moert_entry_tvm_ffi_workspace(const moert_entry *entry, void *handle, const moert_tvm_ffi_value *args, int32_t count,
                                      moert_tvm_ffi_value *result);
/** What compiled code calls for a parallel loop; linked into every library, hidden. Without an executor, or where it has
 * one thread or there is one item, body(data, 0, count) is called here; with no items, nothing. */
void moert_parallel_for(const moert_executor *executor, int64_t count, int64_t grain,
                        void (*body)(void *data, int64_t first, int64_t last), void *data);

/** What compiled code calls around its reads of bases that may be elsewhere; linked into every library, hidden. `paging` is what stands
 * behind the executor. The thread that runs the kernel calls them, not bodies of its parallel loops. Acquire fills slots[c] for each
 * of `count_of_clusters` clusters: as moert_paging.acquire does, or without paging with those of `table`, the binding's. If that
 * fails, all are 0, so that what is read is some memory of the pool; the entry's call returns the error, and nothing more is acquired
 * or prefetched. At most MOERT_MAX_ACQUIRED are held at a time. What was acquired is released in any case, in any order. */
void moert_paging_acquire(void *paging, const int32_t *clusters, int64_t count, const int32_t *table, int64_t count_of_clusters,
                          int32_t *slots);
void moert_paging_release(void *paging, const int32_t *slots);
void moert_paging_prefetch(void *paging, int32_t ahead, const int32_t *clusters, int64_t count);
/** How often one call may have acquired and not yet released. */
#define MOERT_MAX_ACQUIRED 8

/** What compiled code calls where other ranks compute some of its rows; linked into every library, hidden. `exchange` is what stands behind the
 * paging. The thread that runs the kernel calls them, not bodies of its parallel loops. The arguments are those of moert_routing
 * and of the functions of moert_exchange. Without an exchange they copy nothing: a chunk's rows are `x`'s, and its results `y`'s. After an error, which
 * the entry's call returns, no rows are received and nothing more is sent; an error of the call's paging is told to the other ranks
 * before results are sent that it spoiled. Receive returns the count of rows. */
void moert_exchange_begin(void *exchange, const void *x, const int32_t *ids, const int32_t *clusters, const float *weights, void *y,
                          int64_t tokens, int64_t choices, int64_t x_width, int64_t y_width, int32_t x_type, int32_t y_type,
                          int64_t chunks);
void moert_exchange_dispatch(void *exchange, int64_t chunk);
int64_t moert_exchange_receive(void *exchange, int64_t chunk, moert_received *received);
void moert_exchange_send_back(void *exchange, int64_t chunk);
void moert_exchange_collect(void *exchange, int64_t chunk);
void moert_exchange_all_reduce(void *exchange, float *values, int64_t count);

/** CUDA by the driver alone; linked into libraries whose device code names it, hidden. */
extern const moert_device_runtime moert_cuda_runtime;
/** What the compiled code of a CUDA variant calls for each kernel, in order; linked and hidden likewise. `context` is the last
 * of its descriptors, `kernel` a place in moert_device_code.kernel_names, `arguments` one pointer to each of the kernel's
 * parameters, `shared_bytes` of dynamic shared memory. A grid with an extent of 0 launches nothing. After an error,
 * which the entry's call returns, nothing more is launched. */
void moert_cuda_launch(void *context, int32_t kernel, int64_t grid_x, int64_t grid_y, int64_t grid_z, int64_t block_x,
                       int64_t block_y, int64_t block_z, int64_t shared_bytes, void **arguments);
/** Makes the tensor map of a strided view, for kernels that copy boxes of it by the tensor memory accelerator (sm_90 and later).
 * `map` is 128 bytes, aligned to 64, that the kernel takes by value; `code` and `bits` of the elements as DLPack has them;
 * extents, strides (in elements, of the last dimension 1) and the box from the outermost dimension on, as in a memref's
 * descriptor; `swizzle_bytes` is 0, 32, 64 or 128. Of a view with an extent of 0 no map is made. After an error nothing is. */
void moert_cuda_tensor_map(void *context, void *map, int32_t code, int32_t bits, int32_t rank, void *address,
                           const int64_t *extents, const int64_t *strides, const int64_t *box, int32_t swizzle_bytes);

#ifdef __cplusplus
}
#endif
#endif /* MOERT_ABI_H */
