/* The check in front of every compiled entry: call and tensors against what the entry expects, then the kernel.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include "cpu_features.h"
#include "exchange.h"
#include "moert/abi.h"
#include "paging.h"
#include "variant.h"

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define MOERT_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define MOERT_PRINTF(text, first)
#endif

enum { mostExtents = MOERT_MAX_ARGUMENTS * MOERT_MAX_RANK, messageBytes = 1024 };

/* MLIR's memref descriptor with room for the highest rank; a lower rank uses the start of it, strides right behind its
 * sizes. */
typedef struct {
  void *allocated;
  void *aligned;
  int64_t offset;
  int64_t sizesAndStrides[2 * MOERT_MAX_RANK];
} Descriptor;

/* The bytes a tensor covers, [begin, end). Empty tensors cover none. */
typedef struct {
  uintptr_t begin;
  uintptr_t end;
} ByteRange;

/* One value of an extent class, and where it was seen first. */
typedef struct {
  int64_t extentClass;
  int64_t value;
  int32_t argument;
  int32_t dimension;
} ClassValue;

/* A call under check. */
typedef struct {
  const moert_entry *entry;
  const moert_call *call;
  const moert_variant *variant;
  /* Null: code of the CPU. */
  const moert_device_runtime *runtime;
  /* Where all tensors are, by the device's own numbers. */
  int32_t device;
  /* One for each of the entry's arguments, from the caller's array or from the binding. */
  const DLTensor *tensors[MOERT_MAX_ARGUMENTS];
  Descriptor descriptors[MOERT_MAX_ARGUMENTS + 1];
  /* Then the workspace, then the executor, or what the device's runtime puts there, then the paging, then the exchange. */
  void *pointers[MOERT_MAX_ARGUMENTS + 4];
  moert_call_paging paging;
  moert_call_exchange exchange;
  ByteRange ranges[MOERT_MAX_ARGUMENTS];
  ClassValue classes[mostExtents];
  int32_t classCount;
} Check;

/* ---- messages ---- */

/* Appends to the caller's sink at `*length`, cutting what does not fit. */
MOERT_PRINTF(3, 0)
static void append(const moert_error_sink *sink, size_t *length, const char *format, va_list list) {
  if (!sink->text || *length >= sink->capacity)
    return;
  int written = vsnprintf(sink->text + *length, sink->capacity - *length, format, list);
  if (written > 0)
    *length += (size_t)written;
}

MOERT_PRINTF(3, 4)
static void appendf(const moert_error_sink *sink, size_t *length, const char *format, ...) {
  va_list list;
  va_start(list, format);
  append(sink, length, format, list);
  va_end(list);
}

/* "moec_layer: <message>" */
MOERT_PRINTF(3, 4)
static int32_t fail(const Check *check, int32_t status, const char *format, ...) {
  size_t length = 0;
  appendf(&check->call->error, &length, "%s: ", check->entry->name);
  va_list list;
  va_start(list, format);
  append(&check->call->error, &length, format, list);
  va_end(list);
  return status;
}

/* Argument `index` as the caller counts: in its own array, or in the binding. */
static int32_t placeOf(const moert_entry *entry, int32_t index) {
  int32_t place = 0;
  for (int32_t i = 0; i < index; ++i)
    place += (entry->arguments[i].role == MOERT_BINDING) == (entry->arguments[index].role == MOERT_BINDING);
  return place;
}

static const char *kindOf(const moert_argument *argument) {
  return argument->role == MOERT_BINDING ? "binding" : "argument";
}

/* "moec_layer: argument 2 'gates' <message>" */
MOERT_PRINTF(3, 4)
static int32_t failArgument(const Check *check, int32_t index, const char *format, ...) {
  size_t length = 0;
  const moert_argument *argument = &check->entry->arguments[index];
  appendf(&check->call->error, &length, "%s: %s %d '%s' ", check->entry->name, kindOf(argument),
          (int)placeOf(check->entry, index), argument->name);
  va_list list;
  va_start(list, format);
  append(&check->call->error, &length, format, list);
  va_end(list);
  return MOERT_INVALID_ARGUMENT;
}

/* "float32"; text has room for 32 bytes. */
static const char *typeName(char *text, unsigned code, unsigned bits, unsigned lanes) {
  const char *base = code == kDLInt      ? "int"
                     : code == kDLUInt   ? "uint"
                     : code == kDLFloat  ? "float"
                     : code == kDLBfloat ? "bfloat"
                     : code == kDLBool   ? "bool"
                                         : NULL;
  if (!base)
    snprintf(text, 32, "type code %u of %u bits", code, bits);
  else if (code == kDLBool && bits == 8)
    snprintf(text, 32, "bool");
  else
    snprintf(text, 32, "%s%u", base, bits);
  if (lanes != 1)
    snprintf(text + strlen(text), 32 - strlen(text), "x%u", lanes);
  return text;
}

/* ---- one tensor ---- */

static uint64_t elementBytes(const moert_argument *expected) { return (expected->bits + 7u) / 8u; }

/* The device of the first tensor is that of all. */
static int32_t checkDevice(Check *check, int32_t index) {
  const DLTensor *tensor = check->tensors[index];
  int32_t wanted = check->runtime ? check->runtime->type : kDLCPU;
  if (tensor->device.device_type != wanted)
    return failArgument(check, index, "is on device type %d, expected %d (%s)", (int)tensor->device.device_type, (int)wanted,
                        check->runtime ? check->runtime->name : "CPU");
  if (index == 0)
    check->device = tensor->device.device_id;
  if (check->runtime && tensor->device.device_id != check->device)
    return failArgument(check, index, "is on %s device %d, expected device %d, as %s 0 '%s'", check->runtime->name,
                        (int)tensor->device.device_id, (int)check->device, kindOf(&check->entry->arguments[0]),
                        check->entry->arguments[0].name);
  return MOERT_OK;
}

static int32_t checkType(const Check *check, int32_t index) {
  const moert_argument *expected = &check->entry->arguments[index];
  const DLTensor *tensor = check->tensors[index];
  if (tensor->dtype.code != expected->code || tensor->dtype.bits != expected->bits || tensor->dtype.lanes != 1) {
    char found[32], wanted[32];
    return failArgument(check, index, "has dtype %s, expected %s",
                        typeName(found, tensor->dtype.code, tensor->dtype.bits, tensor->dtype.lanes),
                        typeName(wanted, expected->code, expected->bits, 1));
  }
  if (tensor->ndim != (int32_t)expected->rank)
    return failArgument(check, index, "has rank %d, expected %d", (int)tensor->ndim, (int)expected->rank);
  if (tensor->ndim > 0 && !tensor->shape)
    return failArgument(check, index, "has a null shape, expected %d extents", (int)expected->rank);
  return MOERT_OK;
}

/* Extents against the entry's, and against the extents of the same class seen before. */
static int32_t checkShape(Check *check, int32_t index) {
  const moert_argument *expected = &check->entry->arguments[index];
  const DLTensor *tensor = check->tensors[index];
  for (int32_t d = 0; d < tensor->ndim; ++d) {
    long long found = tensor->shape[d];
    int64_t wanted = expected->shape[d];
    if (found < 0)
      return failArgument(check, index, "has shape[%d] = %lld, expected a non-negative extent", (int)d, found);
    if (wanted >= 0 && found != wanted)
      return failArgument(check, index, "has shape[%d] = %lld, expected %lld", (int)d, found, (long long)wanted);
    if (wanted >= MOERT_DYNAMIC)
      continue;
    const ClassValue *seen = NULL;
    for (int32_t c = 0; c < check->classCount && !seen; ++c)
      if (check->classes[c].extentClass == wanted)
        seen = &check->classes[c];
    if (!seen) {
      ClassValue first = {wanted, found, index, d};
      check->classes[check->classCount++] = first;
    } else if (seen->value != found) {
      return failArgument(check, index, "has shape[%d] = %lld, expected %lld, as shape[%d] of %s %d '%s'", (int)d,
                          found, (long long)seen->value, (int)seen->dimension,
                          kindOf(&check->entry->arguments[seen->argument]),
                          (int)placeOf(check->entry, seen->argument), check->entry->arguments[seen->argument].name);
    }
  }
  return MOERT_OK;
}

/* Whether a strided view names each address once: ordered by stride, each dimension steps over all inner ones. Views
 * that interleave without overlapping are refused too. */
static bool isInjective(const DLTensor *tensor) {
  int32_t order[MOERT_MAX_RANK];
  int32_t count = 0;
  for (int32_t d = 0; d < tensor->ndim; ++d) {
    if (tensor->shape[d] <= 1)
      continue;
    int32_t at = count++;
    for (; at > 0 && tensor->strides[order[at - 1]] > tensor->strides[d]; --at)
      order[at] = order[at - 1];
    order[at] = d;
  }
  int64_t covered = 1;
  for (int32_t i = 0; i < count; ++i) {
    int64_t stride = tensor->strides[order[i]];
    if (stride < covered)
      return false;
    covered += stride * (tensor->shape[order[i]] - 1);
  }
  return true;
}

/* Strides, and the descriptor's sizes and strides. `*span` receives the elements from the first to the last address,
 * 0 for an empty tensor. */
static int32_t checkStrides(Check *check, int32_t index, int64_t *span) {
  const DLTensor *tensor = check->tensors[index];
  int32_t rank = tensor->ndim;
  bool empty = false;
  int64_t count = 1;
  for (int32_t d = 0; d < rank; ++d)
    empty |= tensor->shape[d] == 0;
  for (int32_t d = 0; d < rank && !empty; ++d)
    if (__builtin_mul_overflow(count, tensor->shape[d], &count) || count > INT64_MAX / 16)
      return failArgument(check, index, "has more elements than memory can hold");

  int64_t *sizes = check->descriptors[index].sizesAndStrides;
  int64_t *strides = sizes + rank;
  int64_t compact = 1;
  int64_t last = 0;
  for (int32_t d = rank - 1; d >= 0; --d) {
    int64_t extent = tensor->shape[d];
    int64_t stride = tensor->strides ? tensor->strides[d] : compact;
    int64_t reach = 0;
    /* The stride of an extent of 0 or 1 is never used, and hosts leave anything in it. */
    if (empty || extent == 1)
      stride = compact;
    if (stride < 0)
      return failArgument(check, index, "has stride[%d] = %lld, expected a non-negative stride", (int)d,
                          (long long)stride);
    if (!empty && (__builtin_mul_overflow(stride, extent - 1, &reach) || __builtin_add_overflow(last, reach, &last) ||
                   last > INT64_MAX / 16))
      return failArgument(check, index, "has stride[%d] = %lld, which reaches beyond the address space", (int)d,
                          (long long)stride);
    /* With 2 the first stride is free. */
    if (d >= check->entry->arguments[index].contiguous - 1 && check->entry->arguments[index].contiguous && !empty &&
        stride != compact)
      return failArgument(check, index, "has stride[%d] = %lld, expected %lld: kernels read it as one run of elements", (int)d,
                          (long long)stride, (long long)compact);
    sizes[d] = extent;
    strides[d] = stride;
    if (!empty)
      compact *= extent;
  }
  *span = empty ? 0 : last + 1;
  if (check->entry->arguments[index].role == MOERT_OUTPUT && !empty && tensor->strides && !isInjective(tensor))
    return failArgument(check, index, "is an output whose strides make elements overlap, expected distinct addresses");
  return MOERT_OK;
}

/* Pointer and alignment; fills the descriptor's addresses and the byte range. */
static int32_t checkData(Check *check, int32_t index, int64_t span) {
  const DLTensor *tensor = check->tensors[index];
  Descriptor *descriptor = &check->descriptors[index];
  uint64_t size = elementBytes(&check->entry->arguments[index]);
  ByteRange none = {0, 0};
  check->ranges[index] = none;
  if (span == 0) {
    /* Nothing is read or written: any pointer will do, null too. */
    descriptor->allocated = descriptor->aligned = tensor->data;
    return MOERT_OK;
  }
  if (!tensor->data)
    return failArgument(check, index, "has null data, expected memory for its elements");
  uintptr_t begin = (uintptr_t)tensor->data;
  uintptr_t end = 0;
  uint64_t bytes = (uint64_t)span * size;
  if (__builtin_add_overflow(begin, tensor->byte_offset, &begin) || __builtin_add_overflow(begin, bytes, &end))
    return failArgument(check, index, "has byte_offset %llu, which reaches beyond the address space",
                        (unsigned long long)tensor->byte_offset);
  uint64_t alignment = check->entry->arguments[index].alignment;
  alignment = alignment > size ? alignment : size;
  if (begin % alignment != 0)
    return failArgument(check, index, "has data at %#llx, expected alignment to %llu bytes", (unsigned long long)begin,
                        (unsigned long long)alignment);
  descriptor->allocated = descriptor->aligned = (void *)begin;
  check->ranges[index].begin = begin;
  check->ranges[index].end = end;
  return MOERT_OK;
}

static bool overlap(ByteRange left, ByteRange right) { return left.begin < right.end && right.begin < left.end; }

/* No output may share memory with another argument. */
static int32_t checkOverlaps(const Check *check) {
  const moert_argument *arguments = check->entry->arguments;
  for (int32_t output = 0; output < check->entry->count; ++output) {
    if (arguments[output].role != MOERT_OUTPUT)
      continue;
    for (int32_t other = 0; other < check->entry->count; ++other) {
      if (other == output || (arguments[other].role == MOERT_OUTPUT && other > output))
        continue;
      if (overlap(check->ranges[output], check->ranges[other]))
        return failArgument(check, output, "overlaps %s %d '%s' in memory, expected outputs of their own",
                            kindOf(&arguments[other]), (int)placeOf(check->entry, other), arguments[other].name);
    }
  }
  return MOERT_OK;
}

/* ---- the call ---- */

/* Device code, where there is some, is all of one kind and complete. */
static bool isWholeTable(const moert_entry *entry) {
  if (entry->size < sizeof(moert_entry) || entry->count < 0 || entry->count > MOERT_MAX_ARGUMENTS || entry->variant_count < 1)
    return false;
  const moert_device_code *first = entry->variants[0].device;
  for (int32_t i = 0; i < entry->variant_count; ++i) {
    const moert_device_code *device = entry->variants[i].device;
    if (!device != !first)
      return false;
    if (device && (device->size < sizeof *device || !device->runtime || device->runtime != first->runtime ||
                   device->runtime->size < sizeof *device->runtime || !device->state))
      return false;
  }
  return true;
}

static int32_t checkCall(Check *check) {
  const moert_entry *entry = check->entry;
  const moert_call *call = check->call;
  /* The fields of moert_call up to `error` keep their place in every version, so the sink can be used. */
  if (call->abi_version >> 16 != MOERT_ABI_VERSION >> 16 || call->abi_version < MOERT_ABI_VERSION)
    return fail(check, MOERT_INCOMPATIBLE, "the caller was made for ABI %u.%u, expected %u.%u or a later minor",
                call->abi_version >> 16, call->abi_version & 0xFFFFu, MOERT_ABI_VERSION >> 16,
                MOERT_ABI_VERSION & 0xFFFFu);
  if (call->size < offsetof(moert_call, executor))
    return fail(check, MOERT_INVALID_ARGUMENT, "got a call of %u bytes, expected at least %u", call->size,
                (unsigned)offsetof(moert_call, executor));
  if (!isWholeTable(entry))
    return fail(check, MOERT_INTERNAL, "the entry table is damaged: size %u, %d arguments, %d variants", entry->size,
                (int)entry->count, entry->size < sizeof(moert_entry) ? 0 : (int)entry->variant_count);
  check->runtime = entry->variants[0].device ? entry->variants[0].device->runtime : NULL;
  if (call->stream && !check->runtime)
    return fail(check, MOERT_INVALID_ARGUMENT, "got a stream, expected null on CPU");
  return MOERT_OK;
}

/* Which variant runs. */
static int32_t chooseVariant(Check *check) {
  const moert_call *call = check->call;
  const char *isa = call->size >= offsetof(moert_call, isa) + sizeof call->isa ? call->isa : NULL;
  char message[messageBytes] = "";
  moert_hardware hardware = {0, check->device, 0};
  int32_t status = MOERT_OK;
  if (check->runtime)
    status = check->runtime->capability(check->device, &hardware.capability, message, sizeof message);
  else
    hardware.features = moert_cpu_features();
  if (status == MOERT_OK)
    status = moert_choose_variant(check->entry, isa, &hardware, &check->variant, message, sizeof message);
  return status == MOERT_OK ? MOERT_OK : fail(check, status, "%s", message);
}

/* The caller's threads; fills the pointer behind the workspace. */
static int32_t checkExecutor(Check *check) {
  const moert_call *call = check->call;
  const moert_executor *executor = NULL;
  if (call->size >= offsetof(moert_call, executor) + sizeof call->executor)
    executor = call->executor;
  if (executor && (executor->size < sizeof(moert_executor) || !executor->parallel_for))
    return fail(check, MOERT_INVALID_ARGUMENT, "got an executor of %u bytes%s, expected at least %u and a parallel_for",
                executor->size, executor->size < sizeof(moert_executor) ? "" : " without a parallel_for",
                (unsigned)sizeof(moert_executor));
  check->pointers[check->entry->count + 1] = (void *)executor;
  return MOERT_OK;
}

/* Who brings clusters to their places; fills the pointer behind the executor. */
static int32_t checkPaging(Check *check) {
  const moert_layer_binding *binding = check->call->binding;
  const moert_paging *paging = NULL;
  if (binding && binding->size >= offsetof(moert_layer_binding, paging) + sizeof binding->paging)
    paging = binding->paging;
  if (paging && check->runtime)
    return fail(check, MOERT_INVALID_ARGUMENT, "got a layer binding with paging, expected none on %s", check->runtime->name);
  if (paging && (paging->size < sizeof(moert_paging) || !paging->acquire || !paging->release || !paging->prefetch))
    return fail(check, MOERT_INVALID_ARGUMENT, "got paging of %u bytes%s, expected at least %u and three functions", paging->size,
                paging->size < sizeof(moert_paging) ? "" : " that lacks a function", (unsigned)sizeof(moert_paging));
  check->paging.paging = paging;
  check->paging.status = MOERT_OK;
  check->paging.held = 0;
  check->paging.message[0] = '\0';
  check->pointers[check->entry->count + 2] = &check->paging;
  return MOERT_OK;
}

static bool isWholeExchange(const moert_exchange *exchange) {
  return exchange->size >= sizeof(moert_exchange) && exchange->begin && exchange->dispatch && exchange->receive &&
         exchange->send_back && exchange->collect && exchange->all_reduce && exchange->fail;
}

/* Who brings rows to other ranks; fills the pointer behind the paging. */
static int32_t checkExchange(Check *check) {
  const moert_layer_binding *binding = check->call->binding;
  const moert_exchange *exchange = NULL;
  if (binding && binding->size >= offsetof(moert_layer_binding, exchange) + sizeof binding->exchange)
    exchange = binding->exchange;
  if (exchange && check->runtime)
    return fail(check, MOERT_INVALID_ARGUMENT, "got a layer binding with an exchange, expected none on %s", check->runtime->name);
  if (exchange && !isWholeExchange(exchange))
    return fail(check, MOERT_INVALID_ARGUMENT, "got an exchange of %u bytes%s, expected at least %u and seven functions",
                exchange->size, exchange->size < sizeof(moert_exchange) ? "" : " that lacks a function",
                (unsigned)sizeof(moert_exchange));
  check->exchange.exchange = exchange;
  check->exchange.paging = &check->paging;
  check->exchange.status = MOERT_OK;
  check->exchange.message[0] = '\0';
  check->pointers[check->entry->count + 3] = &check->exchange;
  return MOERT_OK;
}

/* Finds each argument's tensor: in the caller's array, or in the binding. */
static int32_t collectTensors(Check *check, DLTensor *const *args, int32_t count) {
  const moert_entry *entry = check->entry;
  const moert_layer_binding *binding = check->call->binding;
  int32_t bound = 0;
  for (int32_t i = 0; i < entry->count; ++i)
    bound += entry->arguments[i].role == MOERT_BINDING;
  if (count != entry->count - bound)
    return fail(check, MOERT_INVALID_ARGUMENT, "got %d arguments, expected %d", (int)count, (int)(entry->count - bound));
  if (count > 0 && !args)
    return fail(check, MOERT_INVALID_ARGUMENT, "got a null array of arguments, expected %d", (int)count);
  if (bound > 0 && !binding)
    return fail(check, MOERT_INVALID_ARGUMENT, "got no layer binding, expected one of %d tensors", (int)bound);
  bool holdsTensors = bound > 0 && binding->size >= offsetof(moert_layer_binding, paging) && binding->tensors;
  if (bound > 0 && (!holdsTensors || binding->count != bound))
    return fail(check, MOERT_INVALID_ARGUMENT, "got a layer binding of %d tensors, expected %d",
                holdsTensors ? (int)binding->count : 0, (int)bound);
  int32_t nextArgument = 0;
  int32_t nextBound = 0;
  for (int32_t i = 0; i < entry->count; ++i) {
    if (entry->arguments[i].role == MOERT_BINDING)
      check->tensors[i] = binding->tensors[nextBound++];
    else
      check->tensors[i] = args[nextArgument++];
  }
  return MOERT_OK;
}

/* Everything that depends on shapes only; `spans` receives the elements each tensor reaches over. */
static int32_t checkShapes(Check *check, DLTensor *const *args, int32_t count, int64_t *spans) {
  int32_t status = checkCall(check);
  if (status == MOERT_OK)
    status = collectTensors(check, args, count);
  for (int32_t i = 0; i < check->entry->count && status == MOERT_OK; ++i) {
    if (!check->tensors[i])
      return failArgument(check, i, "is null, expected a tensor");
    status = checkDevice(check, i);
  }
  if (status == MOERT_OK)
    status = chooseVariant(check);
  for (int32_t i = 0; i < check->entry->count && status == MOERT_OK; ++i) {
    if (check->entry->arguments[i].rank > MOERT_MAX_RANK)
      return fail(check, MOERT_INTERNAL, "the entry table is damaged: argument %d has rank %d", (int)i,
                  (int)check->entry->arguments[i].rank);
    status = checkType(check, i);
    if (status == MOERT_OK)
      status = checkShape(check, i);
    if (status == MOERT_OK)
      status = checkStrides(check, i, &spans[i]);
    check->descriptors[i].offset = 0;
    check->descriptors[i].allocated = check->descriptors[i].aligned = NULL;
    check->pointers[i] = &check->descriptors[i];
  }
  return status;
}

/* Bytes of workspace by the entry's own word. Descriptors carry shapes by now. */
static int32_t askWorkspace(Check *check, uint64_t *bytes) {
  int64_t answer = 0;
  if (check->variant->workspace) {
    check->pointers[check->entry->count] = &answer;
    check->variant->workspace(check->pointers);
  }
  if (answer < 0)
    return fail(check, MOERT_INTERNAL, "the entry asked for a workspace of %lld bytes", (long long)answer);
  *bytes = (uint64_t)answer;
  return MOERT_OK;
}

/* Size, alignment and place of the workspace; fills its descriptor. */
static int32_t checkWorkspace(Check *check) {
  const moert_call *call = check->call;
  int32_t count = check->entry->count;
  uint64_t needed = 0;
  int32_t status = askWorkspace(check, &needed);
  if (status != MOERT_OK)
    return status;
  if (call->workspace_bytes < needed)
    return fail(check, MOERT_WORKSPACE_TOO_SMALL, "got a workspace of %llu bytes, expected at least %llu",
                (unsigned long long)call->workspace_bytes, (unsigned long long)needed);
  if (needed > 0 && !call->workspace)
    return fail(check, MOERT_INVALID_ARGUMENT, "got a null workspace, expected %llu bytes", (unsigned long long)needed);
  uintptr_t begin = (uintptr_t)call->workspace;
  uintptr_t end = 0;
  uintptr_t alignment = check->runtime ? MOERT_DEVICE_WORKSPACE_ALIGNMENT : MOERT_WORKSPACE_ALIGNMENT;
  if (needed > 0 && begin % alignment != 0)
    return fail(check, MOERT_INVALID_ARGUMENT, "got a workspace at %#llx, expected alignment to %d bytes",
                (unsigned long long)begin, (int)alignment);
  if (__builtin_add_overflow(begin, needed, &end))
    return fail(check, MOERT_INVALID_ARGUMENT, "got a workspace that reaches beyond the address space");
  ByteRange range = {begin, end};
  for (int32_t i = 0; i < count && needed > 0; ++i)
    if (overlap(range, check->ranges[i]))
      return failArgument(check, i, "overlaps the workspace in memory");

  Descriptor *descriptor = &check->descriptors[count];
  descriptor->allocated = descriptor->aligned = call->workspace;
  descriptor->offset = 0;
  descriptor->sizesAndStrides[0] = (int64_t)needed;
  descriptor->sizesAndStrides[1] = 1;
  check->pointers[count] = descriptor;
  return MOERT_OK;
}

/* Runs the chosen variant on this CPU, or by the device's runtime. */
static int32_t runKernel(Check *check) {
  int32_t status = checkPaging(check);
  if (status == MOERT_OK)
    status = checkExchange(check);
  if (status == MOERT_OK && !check->runtime)
    status = checkExecutor(check);
  if (status != MOERT_OK)
    return status;
  if (!check->runtime) {
    check->variant->kernel(check->pointers);
    if (check->paging.status != MOERT_OK)
      return fail(check, check->paging.status, "%s", check->paging.message);
    return check->exchange.status == MOERT_OK ? MOERT_OK : fail(check, check->exchange.status, "%s", check->exchange.message);
  }
  char message[messageBytes] = "";
  status = check->runtime->run(check->variant, check->device, check->call, check->pointers,
                                       &check->pointers[check->entry->count + 1], message, sizeof message);
  return status == MOERT_OK ? MOERT_OK : fail(check, status, "%s", message);
}

/* A call too short to hold an error sink can only be answered by the status. */
static bool canReport(const moert_entry *entry, const moert_call *call) {
  return entry && call && call->size >= offsetof(moert_call, error) + sizeof(moert_error_sink);
}

int32_t moert_entry_call(const moert_entry *entry, const moert_call *call, DLTensor *const *args, int32_t count) {
  if (!canReport(entry, call))
    return MOERT_INVALID_ARGUMENT;
  Check check;
  check.entry = entry;
  check.call = call;
  check.classCount = 0;
  check.device = 0;
  int64_t spans[MOERT_MAX_ARGUMENTS];
  int32_t status = checkShapes(&check, args, count, spans);
  for (int32_t i = 0; i < entry->count && status == MOERT_OK; ++i)
    status = checkData(&check, i, spans[i]);
  if (status == MOERT_OK)
    status = checkOverlaps(&check);
  if (status == MOERT_OK)
    status = checkWorkspace(&check);
  return status == MOERT_OK ? runKernel(&check) : status;
}

int32_t moert_entry_workspace(const moert_entry *entry, const moert_call *call, DLTensor *const *args, int32_t count,
                              uint64_t *bytes) {
  if (!canReport(entry, call))
    return MOERT_INVALID_ARGUMENT;
  Check check;
  check.entry = entry;
  check.call = call;
  check.classCount = 0;
  check.device = 0;
  if (!bytes)
    return fail(&check, MOERT_INVALID_ARGUMENT, "got null for the workspace's bytes, expected a place to write to");
  int64_t spans[MOERT_MAX_ARGUMENTS];
  int32_t status = checkShapes(&check, args, count, spans);
  if (status == MOERT_OK)
    status = askWorkspace(&check, bytes);
  return status;
}
