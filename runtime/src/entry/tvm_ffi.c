/* What tvm-ffi calls: the same check and kernel behind its calling convention. No type is registered, nothing is allocated.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions.
 *
 * Layouts are those of tvm/ffi/c_api.h of apache-tvm-ffi 0.1, whose first 64 type numbers are fixed. */
#include "moert/abi.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
  typeNone = 0,
  typeInt = 1,
  typePointer = 4,
  typeDLTensor = 7,
  /* A reference-counted object whose DLTensor stands behind a header of 24 bytes. */
  typeTensorObject = 70,
  tensorObjectHeader = 24,
  mostOptions = 3
};

typedef void RaiseFunction(const char *kind, const char *message);
typedef void *StreamFunction(int32_t deviceType, int32_t device);

/* tvm-ffi's, where it is there. Both imports are weak, so that an artifact opens without it. */
extern RaiseFunction TVMFFIErrorSetRaisedFromCStr __attribute__((weak, visibility("default")));
/* An import is bound when the artifact is opened, which may have been before tvm-ffi was: then the C library is asked. By the
 * version of dlsym that glibc has had from the beginning, so that no newer glibc is needed; null where that is not in libc. */
#if defined(__GLIBC__) && defined(__x86_64__)
__asm__(".symver findSymbol, dlsym@GLIBC_2.2.5");
#else
#define findSymbol dlsym
#endif
extern void *findSymbol(void *handle, const char *name) __attribute__((weak, visibility("default")));

/* A packed call under way. */
typedef struct {
  const moert_entry *entry;
  moert_call call;
  DLTensor *tensors[MOERT_MAX_ARGUMENTS];
  int32_t count;
  char text[512];
} PackedCall;

static int32_t raise(const char *kind, const char *message) {
  RaiseFunction *function = TVMFFIErrorSetRaisedFromCStr;
  if (!function && findSymbol) {
    void *found = findSymbol(NULL, "TVMFFIErrorSetRaisedFromCStr"); /* Null is RTLD_DEFAULT. */
    memcpy(&function, &found, sizeof function);
  }
  if (function)
    function(kind, message);
  return -1;
}

static int32_t raiseStatus(const PackedCall *packed, int32_t status) {
  bool isCallers = status == MOERT_INVALID_ARGUMENT || status == MOERT_WORKSPACE_TOO_SMALL;
  return raise(isCallers ? "ValueError" : "RuntimeError", packed->text);
}

static int32_t raiseType(PackedCall *packed, int32_t place, const moert_tvm_ffi_value *value, const char *expected) {
  snprintf(packed->text, sizeof packed->text, "%s: argument %d is of tvm-ffi's type %d, expected %s", packed->entry->name,
           (int)place, (int)value->type, expected);
  return raise("TypeError", packed->text);
}

/* A tensor, or null for None: the entry then says which argument is missing. */
static bool readTensor(const moert_tvm_ffi_value *value, DLTensor **tensor) {
  *tensor = value->type == typeDLTensor       ? (DLTensor *)value->content.pointer
            : value->type == typeTensorObject ? (DLTensor *)((char *)value->content.pointer + tensorObjectHeader)
                                              : NULL;
  return *tensor || value->type == typeNone;
}

static bool readPointer(const moert_tvm_ffi_value *value, const void **pointer) {
  *pointer = value->type == typePointer ? value->content.pointer : NULL;
  return value->type == typePointer || value->type == typeNone;
}

/* Null: the entry is for the CPU. */
static const moert_device_runtime *runtimeOf(const moert_entry *entry) {
  return entry->variants[0].device ? entry->variants[0].device->runtime : NULL;
}

static int32_t deviceTypeOf(const moert_entry *entry) { return runtimeOf(entry) ? runtimeOf(entry)->type : kDLCPU; }

static uint64_t workspaceAlignmentOf(const moert_entry *entry) {
  return runtimeOf(entry) ? MOERT_DEVICE_WORKSPACE_ALIGNMENT : MOERT_WORKSPACE_ALIGNMENT;
}

/* The stream that tvm-ffi's caller works in; without its word the default stream. */
static void setStream(PackedCall *packed) {
  StreamFunction *function = NULL;
  const DLTensor *first = packed->count > 0 ? packed->tensors[0] : NULL;
  if (!runtimeOf(packed->entry) || !first || !findSymbol)
    return;
  void *found = findSymbol(NULL, "TVMFFIEnvGetStream");
  memcpy(&function, &found, sizeof function);
  if (function)
    packed->call.stream = function(first->device.device_type, first->device.device_id);
}

/* The aligned part of a caller's buffer. */
static bool setWorkspace(PackedCall *packed, const DLTensor *tensor) {
  moert_call *call = &packed->call;
  uint64_t bytes = (tensor->dtype.bits * tensor->dtype.lanes + 7u) / 8u;
  int64_t compact = 1;
  if (tensor->device.device_type != deviceTypeOf(packed->entry))
    return false;
  for (int32_t d = tensor->ndim - 1; d >= 0; --d) {
    if (tensor->strides && tensor->shape[d] != 1 && tensor->strides[d] != compact)
      return false;
    compact *= tensor->shape[d];
  }
  bytes *= (uint64_t)compact;
  if (!tensor->data)
    bytes = 0;
  uintptr_t begin = (uintptr_t)tensor->data + tensor->byte_offset;
  uint64_t skipped = -begin % workspaceAlignmentOf(packed->entry);
  call->workspace = (void *)(begin + skipped);
  call->workspace_bytes = bytes > skipped ? bytes - skipped : 0;
  return true;
}

/* Tensors, then workspace, binding and executor, of which the last ones may be left out. */
static int32_t readArguments(PackedCall *packed, const moert_tvm_ffi_value *args, int32_t count) {
  const moert_entry *entry = packed->entry;
  moert_call *call = &packed->call;
  for (int32_t i = 0; i < entry->count; ++i)
    packed->count += entry->arguments[i].role != MOERT_BINDING;
  if (count < packed->count || count > packed->count + mostOptions || packed->count > MOERT_MAX_ARGUMENTS) {
    snprintf(packed->text, sizeof packed->text,
             "%s: got %d arguments, expected %d tensors, and up to %d more: workspace, layer binding, executor", entry->name,
             (int)count, (int)packed->count, (int)mostOptions);
    return raise("TypeError", packed->text);
  }
  for (int32_t i = 0; i < packed->count; ++i)
    if (!readTensor(&args[i], &packed->tensors[i]))
      return raiseType(packed, i, &args[i], "a tensor");

  DLTensor *workspace = NULL;
  const moert_tvm_ffi_value *options = args + packed->count;
  int32_t given = count - packed->count;
  if (given > 0 && !readTensor(&options[0], &workspace))
    return raiseType(packed, packed->count, &options[0], "a tensor as workspace, or None");
  if (workspace && !setWorkspace(packed, workspace)) {
    snprintf(packed->text, sizeof packed->text,
             "%s: argument %d, the workspace, is strided or on device type %d, expected a compact tensor on %d (%s)", entry->name,
             (int)packed->count, (int)workspace->device.device_type, (int)deviceTypeOf(entry),
             runtimeOf(entry) ? runtimeOf(entry)->name : "CPU");
    return raise("ValueError", packed->text);
  }
  const void *binding = NULL, *executor = NULL;
  if (given > 1 && !readPointer(&options[1], &binding))
    return raiseType(packed, packed->count + 1, &options[1], "a pointer to a moert_layer_binding, or None");
  if (given > 2 && !readPointer(&options[2], &executor))
    return raiseType(packed, packed->count + 2, &options[2], "a pointer to a moert_executor, or None");
  call->binding = binding;
  call->executor = executor;
  setStream(packed);
  return 0;
}

static void start(PackedCall *packed, const moert_entry *entry) {
  memset(packed, 0, sizeof *packed);
  packed->entry = entry;
  packed->call.size = sizeof packed->call;
  packed->call.abi_version = MOERT_ABI_VERSION;
  packed->call.error.text = packed->text;
  packed->call.error.capacity = sizeof packed->text;
}

int32_t moert_entry_tvm_ffi(const moert_entry *entry, void *handle, const moert_tvm_ffi_value *args, int32_t count,
                            moert_tvm_ffi_value *result) {
  (void)handle;
  (void)result; /* None, as the caller has set it. */
  PackedCall packed;
  start(&packed, entry);
  if (readArguments(&packed, args, count) != 0)
    return -1;
  int32_t status = moert_entry_call(entry, &packed.call, packed.tensors, packed.count);
  return status == MOERT_OK ? 0 : raiseStatus(&packed, status);
}

int32_t moert_entry_tvm_ffi_workspace(const moert_entry *entry, void *handle, const moert_tvm_ffi_value *args, int32_t count,
                                      moert_tvm_ffi_value *result) {
  (void)handle;
  PackedCall packed;
  start(&packed, entry);
  if (readArguments(&packed, args, count) != 0)
    return -1;
  uint64_t bytes = 0;
  int32_t status = moert_entry_workspace(entry, &packed.call, packed.tensors, packed.count, &bytes);
  if (status != MOERT_OK)
    return raiseStatus(&packed, status);
  result->type = typeInt;
  result->reserved = 0;
  result->content.number = bytes > 0 ? (int64_t)(bytes + workspaceAlignmentOf(entry) - 1) : 0;
  return 0;
}
